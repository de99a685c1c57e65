"""The security that `compile` is asked for, and the parameters that it is given, checked."""

from typing import Any

from fhejax.ckks import BootstrappingParameters, Parameters, SecurityError
from fhejax.ckks.parameters.requested_numbers import flag, shown, whole_number
from fhejax.ckks.parameters.security import checked_level

_LOG_DEGREES = (4, 17)


def wished_security(
    security: int,
    parameters: Parameters | None,
    bootstrapping: bool | BootstrappingParameters,
    insecure: bool,
    log_degree: int | None,
) -> dict[str, Any]:
    """The request to the planners: a level of security, whether less will do, and what is given.

    Args:
        security: the level, in bits.
        parameters: of the scheme, if they are given.
        bootstrapping: the parameters of bootstraps, if they are given.
        insecure: whether any given ones may reach less.
        log_degree: log2 of the degree of an insecure ring, if it is given.

    Raises:
        SecurityError: another level, or given parameters that do not reach it.
        ValueError: what is of another kind, or insecure=True where nothing insecure is given.
    """
    security = checked_level(security)
    if log_degree is not None:
        log_degree = whole_number("insecure_log_degree", log_degree, *_LOG_DEGREES)
    insecure = flag("insecure", insecure) or log_degree is not None
    if not isinstance(bootstrapping, bool | BootstrappingParameters):
        raise ValueError(
            f"compile was given bootstrapping={shown(bootstrapping)}; it is True, False, or "
            f"BootstrappingParameters."
        )
    given = {"parameters": parameters, "bootstrapping": bootstrapping}
    named = {name: one for name, one in given.items() if one is not None and not isinstance(one, bool)}
    for name, one in named.items():
        if one.security < security and not insecure:
            raise SecurityError(
                f"{security}-bit security was asked for, and the parameters given as {name}= reach "
                f"{one.security} bits: {one}. Give others, ask for less, or pass insecure=True, for tests "
                f"only."
            )
    if insecure and log_degree is None and not named:
        raise ValueError(
            "compile was given insecure=True, which accepts parameters without security, and no such "
            "parameters; pass them as parameters= or bootstrapping=, or a small ring as insecure_log_degree=."
        )
    return {"security": security, "insecure": insecure, "log_degree": log_degree, "parameters": parameters}


def check_together(
    parameters: Any, bootstrapping: bool | BootstrappingParameters, carry: Any, log_degree: int | None
) -> None:
    """Refuse parameters that are none, or beside what names others or needs bootstraps.

    Args:
        parameters: of the scheme, or None.
        bootstrapping: of `compile`.
        carry: of `compile`.
        log_degree: log2 of the degree of an insecure ring, if it is given.

    Raises:
        TypeError: parameters of another type.
        ValueError: what does not go with them, and what to leave out.
    """
    if parameters is None:
        return
    if isinstance(parameters, BootstrappingParameters):
        raise TypeError(
            "compile was given parameters of bootstraps as parameters=; pass them as bootstrapping=, which "
            "bootstraps in them, or their own parameters=chosen.params, in which nothing is bootstrapped."
        )
    if not isinstance(parameters, Parameters):
        raise TypeError(
            f"compile was given parameters={shown(parameters)}; they are of ckks.Parameters, such as "
            f"program.params of another program."
        )
    if isinstance(bootstrapping, BootstrappingParameters):
        raise ValueError(
            "compile was given parameters= and parameters of bootstraps; leave parameters= out, since "
            "bootstrapping= names the ring and primes as well."
        )
    if carry is not None:
        raise ValueError(
            "compile was given parameters= and carry=, and what is carried is bootstrapped, which needs "
            "parameters of its own; pass those as bootstrapping= in place of parameters=, such as "
            "program.plan.bootstrapping of another program."
        )
    if log_degree is not None:
        raise ValueError(
            "compile was given parameters= and insecure_log_degree=, which both say what the ring is; leave "
            "the second out, and pass insecure=True where the parameters are not secure."
        )
