"""Landing: Kafka records into ClickHouse, exactly accounted, and the views and queries that read them."""
