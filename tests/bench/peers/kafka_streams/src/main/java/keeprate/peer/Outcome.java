package keeprate.peer;

import java.util.HashMap;
import java.util.Map;

/** What is known of one generation and its feedback. Order and duplicates of the events do not matter. */
public final class Outcome {
    public Event generation;
    public Map<String, Long> firstAt = new HashMap<>();
    public Map<String, Long> lastAt = new HashMap<>();
    public Long shownLength;
    public Long acceptedLength;
    public Long dwellMs;
    public Map<String, Fact> votes = new HashMap<>();
    public Map<String, Fact> flags = new HashMap<>();
    public Map<String, Fact> edits = new HashMap<>();
    public Map<String, Fact> checks = new HashMap<>();
    public Map<String, Fact> evaluations = new HashMap<>();

    Outcome withGeneration(Event event) {
        if (generation == null || isLater(event, generation)) {
            generation = event;
        }
        return this;
    }

    Outcome withFeedback(Event event) {
        switch (event.type) {
            case "action" -> act(event);
            case "vote" -> keep(votes, text(event.user), event);
            case "flag" -> keep(flags, event.label + "/" + text(event.user), event);
            case "edit" -> keep(edits, text(event.user), event);
            case "retention_check" ->
                keep(checks, event.horizonS == null ? event.moment : event.horizonS.toString(), event);
            case "evaluation" ->
                keep(evaluations, event.name + "/" + event.annotatorKind + "/" + text(event.annotator), event);
            default -> throw new IllegalArgumentException(event.type);
        }
        return this;
    }

    private void act(Event event) {
        firstAt.merge(event.action, event.occurredAt, Math::min);
        lastAt.merge(event.action, event.occurredAt, Math::max);
        if (event.action.equals("shown")) {
            shownLength = larger(shownLength, event.length);
        } else {
            acceptedLength = larger(acceptedLength, event.length);
        }
        dwellMs = larger(dwellMs, event.dwellMs);
    }

    private static void keep(Map<String, Fact> facts, String key, Event event) {
        facts.merge(key, Fact.of(event), Fact::latest);
    }

    private static boolean isLater(Event a, Event b) {
        int revisionA = a.revision == null ? 0 : a.revision;
        int revisionB = b.revision == null ? 0 : b.revision;
        return Fact.compare(revisionA, a.occurredAt, a.eventId, revisionB, b.occurredAt, b.eventId) > 0;
    }

    private static Long larger(Long a, Long b) {
        return a == null ? b : b == null ? a : Long.valueOf(Math.max(a, b));
    }

    private static String text(String maybe) {
        return maybe == null ? "" : maybe;
    }
}
