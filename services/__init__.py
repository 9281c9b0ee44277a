"""The four services; they meet only through stubs and events, never by import."""
