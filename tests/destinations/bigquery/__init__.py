"""BigQuery without BigQuery: an emulator on loopback, what is sent to it, and what Google's analyzer says of that."""
