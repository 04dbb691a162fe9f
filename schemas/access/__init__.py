"""What it takes to be let in by Kafka, as data: `brokers`. Producers, workers, sinks and commands hand it on."""
