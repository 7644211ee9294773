"""The embedded Sigstore: certificate authority, transparency log, clock and identity tokens of one machine.

It makes the first run need no account, and it is honest about it: authority, log and signer are one party, so every
name it certifies carries `trust: embedded`, and production channels refuse it (`signing.policy`).
"""
