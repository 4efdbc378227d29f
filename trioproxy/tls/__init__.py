"""What TLS needs beside a transport: contexts, certificates, and what a ClientHello says."""
