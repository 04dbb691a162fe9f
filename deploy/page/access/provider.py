"""The provider of identities: OpenID Connect's authorization code with PKCE, as authlib has it."""

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.producers.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_GROUPS: Final = 100
_MOST_BYTES: Final = 2000


class LoginError(Exception):
    """The provider did not say who somebody is, or did not answer. Says why, for the log."""


def client(settings: AccessSettings) -> Any:
    """authlib's client of the provider; it asks for the discovery document when it needs it. Raises SettingsError."""
    try:
        from authlib.integrations.starlette_client import OAuth
    except ModuleNotFoundError as error:
        raise SettingsError("access_by", f"oidc needs {error.name}: pip install 'keeprate[login]'") from None
    secret = settings.oidc_client_secret
    issuer = (settings.oidc_issuer or "").rstrip("/")
    return OAuth().register(
        "provider",
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.oidc_scope,
            "code_challenge_method": "S256",
            # A client without a secret is public: PKCE alone proves that it is the same one.
            "token_endpoint_auth_method": "client_secret_basic" if secret else "none",
            "timeout": 10.0,
        },
    )


async def begin(client: Any, request: Request, callback: str) -> Response:
    """The redirect to the provider; state, nonce and verifier are in the session. Raises LoginError."""
    try:
        found: Response = await client.authorize_redirect(request, callback)
    except _errors() as error:
        raise LoginError(_line(error)) from error
    return found


async def end(client: Any, request: Request, settings: AccessSettings) -> tuple[str, list[str]]:
    """Who came back, and their groups: of an identity token whose signature, issuer, audience and nonce are right.

    What the token does not say is asked of the provider. Raises LoginError.
    """
    try:
        token = await client.authorize_access_token(request)
        claims = token.get("userinfo")
        if not claims:
            raise LoginError("no identity token came: is openid in oidc_scope?")
        wanted = {settings.oidc_name_claim, settings.oidc_groups_claim}
        if wanted - claims.keys() and "userinfo_endpoint" in await client.load_server_metadata():
            more = await client.userinfo(token=token)
            if more.get("sub") != claims["sub"]:
                raise LoginError("the provider told of somebody else than it had let in")
            claims = {**more, **claims}
    except _errors() as error:
        raise LoginError(_line(error)) from error
    return said(claims, settings)


def said(claims: "Mapping[str, Any]", settings: AccessSettings) -> tuple[str, list[str]]:
    """The name and the groups in claims. Pure. Raises LoginError for a name that the provider does not vouch for."""
    who = claims.get(settings.oidc_name_claim)
    if not isinstance(who, str) or not who:
        raise LoginError(f"the claim {settings.oidc_name_claim} is not there: ask for its scope in oidc_scope")
    if settings.oidc_name_claim == "email" and claims.get("email_verified") is False:
        raise LoginError("the provider has not verified the e-mail address")
    groups = claims.get(settings.oidc_groups_claim) or []
    found = [groups] if isinstance(groups, str) else [each for each in groups if isinstance(each, str)]
    if len(found) > _MOST_GROUPS or sum(map(len, found)) > _MOST_BYTES:
        # They are kept in a cookie, which browsers drop beyond four kilobytes: better to say so than to log in as less.
        raise LoginError(f"{len(found)} groups are more than a session holds; have the provider send those of Keeprate")
    return who, found


def _errors() -> tuple[type[Exception], ...]:
    """What goes wrong with a provider: it refuses, it does not answer, or what it says is not right."""
    from authlib.common.errors import AuthlibBaseError
    from httpx2 import HTTPError, InvalidURL

    # Of what is no JSON, no key and no signature, the libraries raise errors of their own and ValueError.
    return AuthlibBaseError, HTTPError, InvalidURL, ValueError, KeyError


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
