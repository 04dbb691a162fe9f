"""A token as Kafka's broker takes it for trials: claims that nobody signed. What an operator's hook looks like."""

import base64
import json
import time

LIFE_S = 3600


def unsigned() -> tuple[str, float]:
    """A token of `keeprate`, and when it expires."""
    expires_at_s = time.time() + LIFE_S
    claims = {"sub": "keeprate", "iat": int(time.time()), "exp": int(expires_at_s)}
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)
    )
    return ".".join(parts) + ".", expires_at_s
