"""Training techniques as pure functions on plain values; the paper of each is named in its file's header."""
