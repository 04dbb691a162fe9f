package keeprate.peer;

import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * The join in the DSL of Kafka Streams: two grouped streams, co-grouped into one outcome per generation.
 *
 * <p>Arguments: BROKERS APPLICATION_ID GENERATIONS FEEDBACK OUTCOMES STATE_DIR PARTITIONS. Every 100 ms it prints the
 * time in milliseconds since the epoch and how many records it has processed, by its own metrics.
 */
public final class FeedbackJoin {
    public static void main(String[] args) throws InterruptedException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, args[5]);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        KafkaStreams streams = new KafkaStreams(topology(args[2], args[3], args[4]), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        while (true) {
            System.out.println(System.currentTimeMillis() + " " + processed(streams));
            Thread.sleep(100);
        }
    }

    static Topology topology(String generations, String feedback, String outcomes) {
        StreamsBuilder builder = new StreamsBuilder();
        Consumed<String, Event> asEvents = Consumed.with(Serdes.String(), new JsonSerde<>(Event.class));
        KGroupedStream<String, Event> generated = builder.stream(generations, asEvents).groupByKey();
        KGroupedStream<String, Event> fedBack = builder.stream(feedback, asEvents).groupByKey();
        JsonSerde<Outcome> outcomeSerde = new JsonSerde<>(Outcome.class);
        generated
                .<Outcome>cogroup((id, event, outcome) -> outcome.withGeneration(event))
                .cogroup(fedBack, (id, event, outcome) -> outcome.withFeedback(event))
                .aggregate(Outcome::new, Materialized.with(Serdes.String(), outcomeSerde))
                .toStream()
                .to(outcomes, Produced.with(Serdes.String(), outcomeSerde));
        return builder.build();
    }

    private static long processed(KafkaStreams streams) {
        return streams.metrics().values().stream()
                .filter(metric -> metric.metricName().group().equals("stream-thread-metrics"))
                .filter(metric -> metric.metricName().name().equals("process-total"))
                .mapToLong(metric -> ((Double) metric.metricValue()).longValue())
                .sum();
    }
}
