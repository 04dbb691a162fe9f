package keeprate.peer;

/** What the join reads of an event of either topic. Anything else in it, the content above all, is skipped. */
public final class Event {
    public String type;
    public String eventId;
    public long occurredAt;
    public Integer revision;
    public String user;

    // generation
    public String environment;
    public String session;
    public String operation;
    public String surface;
    public String language;
    public String trigger;
    public String provider;
    public String model;
    public String promptName;
    public String promptVersion;
    public String contextStrategy;
    public String step;
    public String parentGenerationId;
    public String experiment;
    public String variant;
    public String outcome;
    public String finishReason;
    public String errorType;
    public Long inputTokens;
    public Long outputTokens;
    public Double costUsd;
    public Long latencyMs;
    public Long timeToFirstTokenMs;

    // action
    public String action;
    public Long length;
    public Long dwellMs;

    // vote, flag, evaluation
    public Double value;
    public Double score;
    public Double scaleMin;
    public Double scaleMax;
    public String label;
    public String severity;
    public String valence;
    public String name;
    public String annotatorKind;
    public String annotator;

    // edit, retention check
    public Long distance;
    public Long originalLength;
    public Long correctedLength;
    public String origin;
    public Long horizonS;
    public String moment;
    public String status;
    public String reason;
    public Long elapsedMs;
    public Integer acceptSeq;
    public Long currentLength;
}
