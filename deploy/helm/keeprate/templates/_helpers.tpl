{{- define "keeprate.labels" -}}
app.kubernetes.io/name: keeprate
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "keeprate.selector" -}}
app.kubernetes.io/name: keeprate
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "keeprate.brokers" -}}
{{- if eq .Values.kafka.mode "strimzi" }}{{ .Release.Name }}-kafka-bootstrap:9093
{{- else }}{{ required "kafka.brokers: set it to HOST:PORT[,HOST:PORT], or kafka.mode to strimzi" .Values.kafka.brokers }}{{ end }}
{{- end }}

{{- define "keeprate.storeUrl" -}}
{{- if eq .Values.store.mode "altinity" }}http://clickhouse-{{ .Release.Name }}:8123/keeprate
{{- else }}{{ required "store.url: set it to https://HOST:8443/keeprate, or store.mode to altinity" .Values.store.url }}{{ end }}
{{- end }}

{{- /* Where Kafka's password is: Strimzi makes a Secret for its user. */ -}}
{{- define "keeprate.env" -}}
{{- $keys := .Values.secrets.keys }}
- {name: KEEPRATE_BROKERS, value: {{ include "keeprate.brokers" . | quote }}}
- {name: KEEPRATE_KAFKA_TLS, value: {{ .Values.kafka.tls | quote }}}
{{- with .Values.kafka.sasl }}
- {name: KEEPRATE_KAFKA_SASL, value: {{ . | quote }}}
- {name: KEEPRATE_KAFKA_USERNAME, value: {{ $.Values.kafka.username | quote }}}
- {name: KEEPRATE_KAFKA_PASSWORD_FILE, value: /run/secrets/keeprate/kafka-password}
{{- end }}
{{- if or $keys.kafkaCa (eq .Values.kafka.mode "strimzi") }}
- {name: KEEPRATE_KAFKA_CA_FILE, value: /run/secrets/keeprate/kafka-ca.pem}
{{- end }}
{{- if $keys.kafkaCertificate }}
- {name: KEEPRATE_KAFKA_CERTIFICATE_FILE, value: /run/secrets/keeprate/kafka-certificate.pem}
- {name: KEEPRATE_KAFKA_KEY_FILE, value: /run/secrets/keeprate/kafka-key.pem}
{{- end }}
- {name: KEEPRATE_TOPICS_REPLICATION, value: {{ .Values.kafka.replication | quote }}}
- {name: KEEPRATE_TOPICS_PARTITIONS, value: {{ .Values.kafka.partitions | quote }}}
- {name: KEEPRATE_STORE_URL, value: {{ include "keeprate.storeUrl" . | quote }}}
- {name: KEEPRATE_STORE_USER, value: {{ .Values.store.user | quote }}}
- {name: KEEPRATE_STORE_PASSWORD_FILE, value: /run/secrets/keeprate/store-password}
{{- with .Values.store.readerUser }}
- {name: KEEPRATE_STORE_READER_USER, value: {{ . | quote }}}
- {name: KEEPRATE_STORE_READER_PASSWORD_FILE, value: /run/secrets/keeprate/reader-password}
{{- end }}
{{- with .Values.store.shards }}
- {name: KEEPRATE_STORE_SHARDS, value: {{ join "," . | quote }}}
{{- end }}
{{- with .Values.store.cluster }}
- {name: KEEPRATE_STORE_CLUSTER, value: {{ . | quote }}}
{{- end }}
{{- if .Values.store.replicated }}
- {name: KEEPRATE_STORE_REPLICATED, value: "true"}
{{- end }}
{{- if $keys.storeCa }}
- {name: KEEPRATE_STORE_CA_FILE, value: /run/secrets/keeprate/store-ca.pem}
{{- end }}
- {name: KEEPRATE_LOG_FORMAT, value: json}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "keeprate.secrets" -}}
{{- $keys := .Values.secrets.keys }}
{{- $name := required "secrets.existing: name a Secret with the passwords; NOTES and docs/deploying.md say which keys" .Values.secrets.existing }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ $name }}
          items:
            {{- if and .Values.kafka.sasl (eq .Values.kafka.mode "external") }}
            - {key: {{ $keys.kafkaPassword }}, path: kafka-password}
            {{- end }}
            - {key: {{ $keys.storePassword }}, path: store-password}
            {{- if .Values.store.readerUser }}
            - {key: {{ $keys.readerPassword }}, path: reader-password}
            {{- end }}
            {{- with $keys.kafkaCa }}
            - {key: {{ . }}, path: kafka-ca.pem}
            {{- end }}
            {{- with $keys.storeCa }}
            - {key: {{ . }}, path: store-ca.pem}
            {{- end }}
            {{- with $keys.kafkaCertificate }}
            - {key: {{ . }}, path: kafka-certificate.pem}
            - {key: {{ $keys.kafkaKey }}, path: kafka-key.pem}
            {{- end }}
      {{- if eq .Values.kafka.mode "strimzi" }}
      - secret: {name: {{ .Values.kafka.username }}, items: [{key: password, path: kafka-password}]}
      - secret: {name: {{ .Release.Name }}-cluster-ca-cert, items: [{key: ca.crt, path: kafka-ca.pem}]}
      {{- end }}
{{- end }}

{{- /* What all pods have: dict root, component, args, ports, resources; data: whether /var/lib/keeprate is a claim. */ -}}
{{- define "keeprate.pod" -}}
{{- $v := .root.Values }}
# A service named keeprate-… would make variables that look like settings.
enableServiceLinks: false
automountServiceAccountToken: false
{{- if not .hook }}
serviceAccountName: {{ .root.Release.Name }}
{{- end }}
terminationGracePeriodSeconds: 40
securityContext: {{ toJson $v.podSecurityContext }}
{{- with $v.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $v.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $v.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "keeprate.selector" . | nindent 8 }}
containers:
  - name: {{ .component }}
    image: "{{ $v.image.repository }}:{{ $v.image.tag | default .root.Chart.AppVersion }}"
    imagePullPolicy: {{ $v.image.pullPolicy }}
    args: {{ toJson .args }}
    env:
      {{- include "keeprate.env" .root | trim | nindent 6 }}
      {{- if .salted }}
      - name: KEEPRATE_USER_SALT
        valueFrom: {secretKeyRef: {name: {{ $v.secrets.existing }}, key: {{ $v.secrets.keys.userSalt }}, optional: true}}
      {{- end }}
      {{- if .people }}
      - {name: KEEPRATE_ACCESS_FILE, value: /run/secrets/people/page-access.toml}
      - {name: KEEPRATE_ACCESS_SESSION_SECRET_FILE, value: /run/secrets/people/page-session-secret}
      {{- end }}
      {{- if .named }}
      - name: KEEPRATE_{{ upper .component }}_INSTANCE
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
      {{- end }}
    ports:
      {{- range $name, $port := .ports }}
      - {name: {{ $name }}, containerPort: {{ $port }}}
      {{- end }}
    {{- with .probes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    resources: {{ toJson .resources }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
      - {name: secrets, mountPath: /run/secrets/keeprate, readOnly: true}
      - {name: data, mountPath: /var/lib/keeprate{{ if .secret }}, readOnly: true{{ end }}}
      - {name: tmp, mountPath: /tmp}
      {{- if .people }}
      - {name: people, mountPath: /run/secrets/people, readOnly: true}
      {{- end }}
volumes:
  {{- include "keeprate.secrets" .root | trim | nindent 2 }}
  - {name: tmp, emptyDir: {}}
  {{- with .people }}
  - {name: people, secret: {secretName: {{ . }}, defaultMode: 0440}}
  {{- end }}
  {{- if .secret }}
  - {name: data, secret: {secretName: {{ .secret }}, defaultMode: 0440}}
  {{- else if not .data }}
  - {name: data, emptyDir: {}}
  {{- end }}
{{- end }}
