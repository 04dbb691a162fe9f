"""A real broker that lets in whom it knows, and by what their rights say."""

from pathlib import Path
from typing import Any, Final

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import free_port
from tests.certificates import CLIENT, Certificates

ADMIN: Final = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "admin",
    "sasl.password": "secret",
    "log_level": 0,
}
_PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_JAAS: Final = f'{_PLAIN} username="admin" password="secret" user_admin="secret";'
# What a URL, a shell or a configuration would take for its own.
PASSWORD: Final = "p%@:&#'s"


class GuardedBroker(KafkaBroker):
    """A broker whose clients do what ACLs say: by a login over TLS at one door, by a certificate at another.

    An administrator has a door too, and may do all.
    """

    def __init__(self, data_dir: Path, certificates: Certificates) -> None:
        super().__init__(data_dir)
        self.certificates = certificates
        self.ports = {name: free_port() for name in ("ADMIN", "LOGIN", "MUTUAL")}

    @property
    def admin(self) -> dict[str, Any]:
        return {"bootstrap.servers": f"127.0.0.1:{self.ports['ADMIN']}", **ADMIN}

    def _configure(self) -> None:
        super()._configure()
        text = self._properties.read_text()
        doors = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        text = text.replace("listeners=BROKER", f"listeners={doors},BROKER")
        kinds = "CONTROLLER:SASL_PLAINTEXT,ADMIN:SASL_PLAINTEXT,LOGIN:SASL_SSL,MUTUAL:SSL"
        text = text.replace("CONTROLLER:PLAINTEXT", kinds)
        text = text.replace("inter.broker.listener.name=BROKER", "inter.broker.listener.name=ADMIN")
        stores = {"keystore": self.certificates.server, "truststore": self.certificates.ca}
        login, mutual = "listener.name.login", "listener.name.mutual"
        module = "org.apache.kafka.common.security"
        text += "\n".join(
            [
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:admin",
                "sasl.enabled.mechanisms=PLAIN",
                "sasl.mechanism.inter.broker.protocol=PLAIN",
                "sasl.mechanism.controller.protocol=PLAIN",
                f"listener.name.admin.plain.sasl.jaas.config={_JAAS}",
                f"listener.name.controller.plain.sasl.jaas.config={_JAAS}",
                f"{login}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER",
                f'{login}.plain.sasl.jaas.config={_PLAIN} user_{CLIENT}="{PASSWORD}";',
                f"{login}.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;",
                # The broker's own kind of token for trials: anybody's, as nobody signed it.
                f"{login}.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required "
                'unsecuredLoginStringClaim_sub="broker";',
                f"{mutual}.ssl.client.auth=required",
                f"{mutual}.ssl.principal.mapping.rules=RULE:^CN=(.*)$/$1/",
                *(f"ssl.{store}.type=PEM" for store in stores),
                *(f"ssl.{store}.location={path}" for store, path in stores.items()),
            ]
        )
        self._properties.write_text(text + "\n")
