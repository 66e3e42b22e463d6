"""What makes a graph simpler and keeps what it computes."""
