package keeprate.peer;

/** The latest state of one thing: what orders it against another of its kind, and its values. */
public final class Fact {
    public int revision;
    public long occurredAt;
    public String eventId;

    public Double value;
    public Double score;
    public Double scaleMin;
    public Double scaleMax;
    public String label;
    public String severity;
    public String valence;
    public Long distance;
    public Long originalLength;
    public Long correctedLength;
    public String origin;
    public String status;
    public String reason;
    public Long elapsedMs;
    public Integer acceptSeq;
    public Long currentLength;

    static Fact of(Event event) {
        Fact fact = new Fact();
        fact.revision = event.revision == null ? 0 : event.revision;
        fact.occurredAt = event.occurredAt;
        fact.eventId = event.eventId;
        fact.value = event.value;
        fact.score = event.score;
        fact.scaleMin = event.scaleMin;
        fact.scaleMax = event.scaleMax;
        fact.label = event.label;
        fact.severity = event.severity;
        fact.valence = event.valence;
        fact.distance = event.distance;
        fact.originalLength = event.originalLength;
        fact.correctedLength = event.correctedLength;
        fact.origin = event.origin;
        fact.status = event.status;
        fact.reason = event.reason;
        fact.elapsedMs = event.elapsedMs;
        fact.acceptSeq = event.acceptSeq;
        fact.currentLength = event.currentLength;
        return fact;
    }

    static Fact latest(Fact a, Fact b) {
        return compare(a.revision, a.occurredAt, a.eventId, b.revision, b.occurredAt, b.eventId) >= 0 ? a : b;
    }

    static int compare(int revisionA, long atA, String idA, int revisionB, long atB, String idB) {
        int byRevision = Integer.compare(revisionA, revisionB);
        int byTime = byRevision != 0 ? byRevision : Long.compare(atA, atB);
        return byTime != 0 ? byTime : idA.compareTo(idB);
    }
}
