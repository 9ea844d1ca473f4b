// Verifies one webhook given as JSON on stdin: {"secret", "headers", "body" (base64)}.
// Exits 1 with the library's reason when it does not.
const { Webhook } = require("standardwebhooks");

const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
const body = Buffer.from(told.body, "base64").toString("utf8");

new Webhook(told.secret).verify(body, told.headers);
