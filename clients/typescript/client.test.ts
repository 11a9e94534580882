/** What is written by hand of the client: who calls, errors, pages, and waiting; the service is played. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { mock, test, type TestContext } from "node:test";

import { API_VERSION, createCheckoutClient, each, isProblem, type ReadPayment, waitForPayment } from "./src/index.js";
import { LostCallError, PaymentUnchangedError, ProblemError, UnexpectedAnswerError, unwrap } from "./src/index.js";

const baseUrl = "http://127.0.0.1:1";
type Caller = { token: string } | { apiKey: string } | { cartToken: string } | Record<never, never>;

function service(caller: Caller, ...answers: (Response | Error)[]) {
  const requests: Request[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    requests.push(request);
    const answer = answers.shift();
    assert(answer, "one request too many");
    if (answer instanceof Error) throw answer;
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

/** The pauses that are made, by a clock of its own: nothing else takes time. */
function pausesOf(context: TestContext): number[] {
  let now = 0;
  const pauses: number[] = [];
  context.mock.method(Date, "now", () => now);
  context.mock.method(globalThis, "setTimeout", (resolve: () => void, milliseconds: number) => {
    pauses.push(milliseconds);
    now += milliseconds;
    queueMicrotask(resolve);
  });
  return pauses;
}

const keysOf = (requests: Request[]) => requests.map((request) => request.headers.get("Idempotency-Key"));

function refund(client: ReturnType<typeof createCheckoutClient>, header = {}, signal?: AbortSignal) {
  const params = { path: { payment_id: "x" }, header };
  const init = { params, body: { amount: "1.00" }, ...(signal && { signal }) };
  return unwrap(client.POST("/api/payments/{payment_id}/refunds", init));
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

test("a caller with an empty secret is refused, and so are two", () => {
  for (const name of ["token", "cartToken", "apiKey"]) {
    assert.throws(() => service({ [name]: "" }), new RegExp(`${name} is empty`));
  }
  assert.throws(() => service({ token: "a", apiKey: "b" } as Caller), /one caller/);
});

test("a call without an answer is repeated with its key", async (context) => {
  const pauses = pausesOf(context);
  const busy = problem(503, "still-in-progress", { "Retry-After": "3" });
  const { client, requests } = service({ apiKey: "k" }, new TypeError("fetch failed"), busy, Response.json({ id: "r" }));
  assert.equal((await refund(client)).id, "r");
  const keys = keysOf(requests);
  assert.deepEqual([keys.length, new Set(keys).size, keys[0]?.length], [3, 1, 36]);
  assert.deepEqual(await Promise.all(requests.map((request) => request.text())), Array(3).fill('{"amount":"1.00"}'));
  assert.deepEqual(pauses, [500, 3000]);
});

test("a call that is lost however often it is sent names its key, and so does one that its signal ends", async (context) => {
  const pauses = pausesOf(context);
  const broken = new Response(
    new ReadableStream({
      pull(stream) {
        stream.error(new TypeError("terminated"));
      },
    }),
    { status: 202 },
  );
  const failed = new TypeError("fetch failed");
  const { client, requests } = service({ apiKey: "k" }, broken, failed, failed);
  await assert.rejects(refund(client), (error) => {
    assert(error instanceof LostCallError && error.cause === failed);
    assert.deepEqual(keysOf(requests), Array(3).fill(error.idempotencyKey));
    return true;
  });
  assert.deepEqual(pauses, [500, 2000]);

  const ended = new Error("left the page");
  const left = service({ apiKey: "k" }, ended);
  await assert.rejects(refund(left.client, { "Idempotency-Key": "mine" }, AbortSignal.abort(ended)), (error) => {
    return error instanceof LostCallError && error.idempotencyKey === "mine" && error.cause === ended;
  });
  assert.equal(left.requests.length, 1);
});

test("an error names the key of its call", async (context) => {
  pausesOf(context);
  const busy = () => problem(503, "draining", { "Retry-After": "1" });
  for (const answers of [
    [problem(422, "invalid")],
    [problem(503, "no-provider", { "Retry-After": "300" })],
    [new Response("<h1>Nobody answers</h1>", { status: 502 })],
    [busy(), busy(), busy()],
  ]) {
    const { client, requests } = service({ apiKey: "k" }, ...answers);
    await assert.rejects(refund(client), (error) => {
      assert(error instanceof UnexpectedAnswerError && error.idempotencyKey);
      assert.deepEqual(keysOf(requests), answers.map(() => error.idempotencyKey));
      return true;
    });
  }
});

test("a call that takes no key has none and is sent once", async (context) => {
  pausesOf(context);
  const failed = new TypeError("fetch failed");
  const { client, requests } = service({ token: "a" }, failed, problem(503, "draining", { "Retry-After": "1" }));
  const body = { listing: "x", qty: 1 };
  await assert.rejects(client.POST("/api/cart/items", { body }), failed);
  await assert.rejects(unwrap(client.POST("/api/cart/items", { body, headers: { "Idempotency-Key": "x" } })), (error) => {
    return error instanceof ProblemError && error.idempotencyKey === undefined;
  });
  assert.deepEqual(keysOf(requests), [null, null]);
});

test("a redirect is not followed: the caller's secret stays here", async () => {
  const came: IncomingHttpHeaders[] = [];
  const listen = async (answer: RequestListener) => {
    const server = createServer(answer).listen(0, "127.0.0.1");
    await once(server, "listening");
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  };
  const elsewhere = await listen((request, response) => {
    came.push(request.headers);
    response.writeHead(200, { "Content-Type": "application/json" }).end("{}");
  });
  const here = await listen((_, response) => void response.writeHead(302, { Location: elsewhere.url }).end());
  try {
    const client = createCheckoutClient({ baseUrl: here.url, cartToken: "cct_1" });
    await assert.rejects(unwrap(client.GET("/api/cart")), (error) => {
      return error instanceof UnexpectedAnswerError && error.status === 302;
    });
    assert.deepEqual(came, []);
  } finally {
    for (const { server } of [here, elsewhere]) {
      server.close();
      server.closeAllConnections();
    }
  }
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
  const pauses = pausesOf(context);
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
  assert.deepEqual(pauses, [0, 1000, 3000, 1000, 2000, 1000]);
  assert(requests.every(({ url }) => new URL(url).searchParams.get("wait") === "30"));
});

test("a payment whose ETag a proxy takes away is read once a second", async (context) => {
  const pauses = pausesOf(context);
  const answers = [payment("pending"), payment("pending"), payment("processing"), payment("paid")];
  for (const answer of answers) answer.headers.delete("ETag");
  const { client } = service({ token: "a" }, ...answers);
  assert.equal((await waitForPayment(client, "x")).status, "paid");
  assert.deepEqual(pauses, [0, 1000, 1000]);
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
