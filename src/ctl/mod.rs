//! Floor 4: the client. It blocks, starts in milliseconds and knows no tokio.
