"""Proofs: keys, identities, signatures, attestations, and the checks that fail closed."""
