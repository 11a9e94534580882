// An OpenID provider on this machine, by npm's oidc-provider: people sign in by the pages that it has for development,
// with any user name and password. Reads its settings from standard input as JSON, prints a line once it listens.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const load = createRequire(`${process.argv[2]}/package.json`);
const { Provider } = await import(pathToFileURL(load.resolve("oidc-provider")).href);
const given = JSON.parse(readFileSync(0, "utf8"));

const provider = new Provider(`http://127.0.0.1:${given.port}`, {
  clients: [
    {
      client_id: given.client_id,
      client_secret: given.client_secret,
      redirect_uris: [given.redirect_uri],
      post_logout_redirect_uris: [given.signed_out_uri],
      token_endpoint_auth_method: given.client_authentication,
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "roles"], email: ["email"] },
  conformIdTokenClaims: given.claims_apart,
  cookies: { keys: ["a key of tests"] },
  // The name that somebody signs in with is the subject: "role.anything" has that role.
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `Ana ${id}`, email: `${id}@shop.example`, roles: [id.split(".")[0], "staff"] }),
  }),
});
provider.listen(given.port, "127.0.0.1", () => process.stdout.write("listens\n"));
