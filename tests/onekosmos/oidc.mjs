// 1Kosmos as an OpenID provider, played by the npm package `oidc-provider`: discovery, code flow, client secret, signed tokens.
//
//   NODE_PATH=… node oidc.mjs REDIRECT_URI CLIENT_ID CLIENT_SECRET
//
// Prints `listening on http://127.0.0.1:PORT`. Whoever comes is signed in at once, as the person and with the methods that
// `PUT /_person` said last: {"sub": "…", "email": "…", "amr": ["/assurance/ial/2"]}.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.NODE_MODULES, "oidc.cjs"));
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const [redirectUri, clientId, clientSecret] = process.argv.slice(2);
let person = { sub: "nobody", email: "nobody@example.com", amr: [] };

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  claims: { openid: ["sub", "amr"], email: ["email", "email_verified"] },
  scopes: ["openid", "email", "/assurance/ial/2"],
  // As the specification has it, the e-mail address is told at the userinfo endpoint (OpenID Connect Core, section 5.4).
  conformIdTokenClaims: true,
  pkce: { required: () => false },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: ["only-for-tests"] },
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, email: person.email, email_verified: false }),
  }),
  loadExistingGrant: async (context) => {
    const grant = new context.oidc.provider.Grant({
      clientId: context.oidc.client.clientId,
      accountId: context.oidc.session.accountId,
    });
    grant.addOIDCScope("openid email /assurance/ial/2");
    await grant.save();
    return grant;
  },
});

server.on("request", async (request, response) => {
  if (request.method === "PUT" && request.url === "/_person") {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    person = JSON.parse(Buffer.concat(chunks).toString());
    response.end("{}");
  } else if (request.url.startsWith("/interaction/")) {
    const login = { accountId: person.sub, amr: person.amr, remember: false };
    await provider.interactionFinished(request, response, { login });
  } else {
    provider.callback()(request, response);
  }
});
console.log(`listening on ${issuer}`);
// Nobody reads on: the package tells on standard output what it would rather have in production.
console.info = console.warn = console.log = () => {};
