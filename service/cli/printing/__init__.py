"""What commands print: tables for people, and the figures of a measurement for programs."""
