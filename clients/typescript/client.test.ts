/** What is written by hand of the client: who calls, errors, pages, and waiting; the service is played. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { API_VERSION, createCheckoutClient, each, isProblem, type ReadPayment, waitForPayment } from "./src/index.js";
import { PaymentUnchangedError, ProblemError, UnexpectedAnswerError, unwrap } from "./src/index.js";

const baseUrl = "http://127.0.0.1:1";
type Caller = { token: string } | { apiKey: string } | { cartToken: string } | Record<never, never>;

function service(caller: Caller, ...answers: Response[]) {
  const requests: Request[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    requests.push(request);
    const answer = answers.shift();
    assert(answer, "one request too many");
    return answer;
  };
  return { client: createCheckoutClient({ baseUrl, fetch, ...caller }), requests };
}

function problem(status: number, slug: string, headers: Record<string, string> = {}, members: object = {}): Response {
  const shown = { type: `/problems/${slug}`, title: "No", status, detail: "So.", instance: "/", request_id: "r" };
  headers = { "Content-Type": "application/problem+json", ...headers };
  return new Response(JSON.stringify({ ...shown, ...members }), { status, headers });
}

function payment(status: ReadPayment["status"], under_way = false): Response {
  return Response.json({ id: "x", status, under_way }, { headers: { ETag: `W/"${status}"` } });
}

function unchanged(headers: Record<string, string> = {}): Response {
  return new Response(null, { status: 304, headers });
}

for (const [caller, header, value] of [
  [{ token: "a.b.c" }, "Authorization", "Bearer a.b.c"],
  [{ apiKey: "csk_1" }, "Authorization", "Bearer csk_1"],
  [{ cartToken: "cct_1" }, "Cart-Token", "cct_1"],
] as const) {
  test(`${Object.keys(caller)} is named in ${header}`, async () => {
    const { client, requests } = service(caller, new Response(null, { status: 204 }));
    assert.equal(await unwrap(client.DELETE("/api/cart")), undefined);
    const headers = requests[0]?.headers;
    assert.equal(headers?.get(header), value);
    assert.equal(headers?.get("Authorization") === null, header !== "Authorization");
    assert.equal(headers?.get("API-Version"), API_VERSION);
    assert.equal(headers?.get("Idempotency-Key"), null);
  });
}

test("a key is made for each call, and one that is named is sent", async () => {
  const { client, requests } = service({ apiKey: "k" }, ...[1, 2, 3].map(() => problem(404, "not-found")));
  const path = { payment_id: "x" };
  const body = { amount: "1.00" };
  for (const header of [{}, {}, { "Idempotency-Key": "mine" }]) {
    await client.POST("/api/payments/{payment_id}/refunds", { params: { path, header }, body });
  }
  const [first, second, third] = requests.map((request) => request.headers.get("Idempotency-Key"));
  assert.equal(new Set([first, second]).size, 2);
  assert.equal(first?.length, 36);
  assert.equal(third, "mine");
});

test("a problem is thrown with members of its own", async () => {
  const members = { versions: ["1"] };
  const { client } = service({}, problem(400, "unknown-api-version", { "Retry-After": "7" }, members));
  await assert.rejects(unwrap(client.GET("/api/cart")), (error) => {
    assert(isProblem(error, "unknown-api-version"));
    assert(!isProblem(error, "out-of-stock"));
    assert.deepEqual([error.status, error.retryAfter, error.problem.versions], [400, 7, ["1"]]);
    return error instanceof ProblemError && error.message.startsWith("400 No: So.");
  });
});

test("what is no answer of the service is thrown as such", async () => {
  const proxy = new Response("<h1>Nobody answers</h1>", { status: 502, headers: { "Content-Type": "text/html" } });
  const strange = new Response("[]", { status: 500, headers: { "Content-Type": "application/problem+json" } });
  for (const answer of [proxy, strange, new Response(null, { status: 500 }), unchanged()]) {
    const { client } = service({}, answer);
    await assert.rejects(unwrap(client.GET("/api/cart")), (error) => {
      return error instanceof UnexpectedAnswerError && !(error instanceof ProblemError);
    });
  }
});

test("all pages are read, as they are needed", async () => {
  const page = (id: string, next_cursor: string | null) => Response.json({ data: [{ id }], next_cursor });
  const { client, requests } = service({}, page("1", "a"), page("2", "b"), page("3", null));
  const all = each((from) => client.GET("/api/payments", { params: { query: { limit: 1, ...from } } }));
  assert.equal((await all.next()).value?.id, "1");
  assert.equal(requests.length, 1);
  const rest: string[] = [];
  for await (const one of all) rest.push(one.id);
  assert.deepEqual(rest, ["2", "3"]);
  assert.deepEqual(requests.map(({ url }) => new URL(url).searchParams.get("cursor")), [null, "a", "b"]);
});

test("a payment is waited for by its ETag, as the service says", async (context) => {
  // A clock of its own: nothing but the pauses takes time.
  let now = 0;
  const pauses: number[] = [];
  context.mock.method(Date, "now", () => now);
  context.mock.method(globalThis, "setTimeout", (resolve: () => void, milliseconds: number) => {
    pauses.push(milliseconds);
    now += milliseconds;
    queueMicrotask(resolve);
  });
  const { client, requests } = service(
    { token: "a" },
    payment("pending"),
    unchanged(),
    problem(503, "draining", { "Retry-After": "3" }),
    problem(429, "rate-limited"),
    unchanged({ "Retry-After": "2" }),
    payment("paid", true),
    payment("paid"),
  );
  assert.equal((await waitForPayment(client, "x")).status, "paid");
  const sent = requests.map((request) => request.headers.get("If-None-Match"));
  assert.deepEqual(sent, [null, ...Array<string>(5).fill('W/"pending"'), 'W/"paid"']);
  assert.deepEqual(pauses, [0, 1000, 3000, 1000, 2000, 0]);
  assert(requests.every(({ url }) => new URL(url).searchParams.get("wait") === "30"));
});

test("waiting ends in time with what was seen last, by a signal, and at an error that does not pass", async () => {
  const late = service({}, payment("processing"));
  await assert.rejects(waitForPayment(late.client, "x", { within: 0 }), (error) => {
    return error instanceof PaymentUnchangedError && error.payment?.status === "processing";
  });
  const signal = AbortSignal.abort(new Error("left the page"));
  await assert.rejects(waitForPayment(service({}, payment("pending")).client, "x", { signal }), /left the page/);
  const gone = service({}, problem(404, "not-found"));
  await assert.rejects(waitForPayment(gone.client, "x"), (error) => error instanceof ProblemError);
  mock.restoreAll();
});
