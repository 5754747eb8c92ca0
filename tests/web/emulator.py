"""ministack, with four things mended: started in the place of the program `ministack`, with the same environment.

Each is one that ministack 1.5.33 does otherwise than AWS:

- A custom authentication ends after three answers, SRP_A and PASSWORD_VERIFIER counted, so that after a password one answer
  is all there is. In Cognito the define auth challenge trigger says when it is over (Amazon Cognito developer guide, "Define
  Auth challenge Lambda trigger"); no page of AWS names a limit of Cognito's own.
- An app client's password flows are looked at with AUTH=true only, which the template's queues take over TLS alone, and a
  browser would not trust that certificate. In Cognito they always are (API reference, UserPoolClientType,
  ExplicitAuthFlows).
- The responses of an integration are left out when an API's definition is imported (API Gateway developer guide,
  "x-amazon-apigateway-integration.responses object"), so that what a browser asks before it posts (CORS) is answered
  without a header.
- The user's status is not among the attributes that the triggers of a custom authentication are told. In Cognito's it is, as
  cognito:user_status: no page says so, but recorded events of these triggers have it, for FORCE_CHANGE_PASSWORD as well.
"""

from ministack.app import main
from ministack.services import apigateway_v1, cognito

import_operation = apigateway_v1._import_operation
run_idp_handler = cognito._run_idp_handler


def import_with_responses(api_id, resource_id, method, operation, *rest):
    import_operation(api_id, resource_id, method, operation, *rest)
    integration = (operation or {}).get("x-amazon-apigateway-integration") or {}
    for pattern, response in (integration.get("responses") or {}).items():
        told = {**response, "selectionPattern": "" if pattern == "default" else pattern}
        apigateway_v1._put_integration_response(api_id, resource_id, method, str(response["statusCode"]), told)


def run_if_the_client_allows(handler, action, data):
    return cognito._auth_flow_error(action, data) or run_idp_handler(handler, action, data)


def telling_the_status(build):
    def told(pool_id, client_id, username, attributes, *rest):
        status = cognito._user_pools[pool_id]["_users"][username]["UserStatus"]
        return build(pool_id, client_id, username, {**attributes, "cognito:user_status": status}, *rest)

    return told


if not hasattr(cognito, "_MAX_CHALLENGE_ATTEMPTS"):
    raise SystemExit("this ministack has no limit of answers: see what is still to be mended")
cognito._MAX_CHALLENGE_ATTEMPTS = 1_000
for step in ("define", "create", "verify"):
    name = f"_build_{step}_auth_challenge_event"
    setattr(cognito, name, telling_the_status(getattr(cognito, name)))
cognito._run_idp_handler = run_if_the_client_allows
apigateway_v1._import_operation = import_with_responses

main()
