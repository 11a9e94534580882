// Verifies what it reads from standard input, a JSON array of {secret, headers, body}, with both public packages of
// node, and prints an array of what each said: the event's id, or null where it was refused.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");

const load = createRequire(`${process.argv[2]}/package.json`);
const packages = { standardwebhooks: load("standardwebhooks").Webhook, svix: load("svix").Webhook };

const tried = JSON.parse(readFileSync(0, "utf8")).map(({ secret, headers, body }) =>
  Object.fromEntries(
    Object.entries(packages).map(([name, Webhook]) => {
      try {
        new Webhook(secret).verify(body, headers); // Svix's gives nothing back
        return [name, JSON.parse(body).id];
      } catch (error) {
        if (error.constructor.name !== "WebhookVerificationError") throw error;
        return [name, null];
      }
    }),
  ),
);
process.stdout.write(JSON.stringify(tried));
