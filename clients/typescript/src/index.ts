/** A client of the checkout service: openapi-fetch, typed by the service's own document. */

import createClient, { type Client, type Middleware } from "openapi-fetch";

import type { components, paths, webhooks } from "./schema.js";
import { KEYED } from "./keyed.js";
import { API_VERSION } from "./version.js";

export type * from "./schema.js";
export { API_VERSION };

/** Who calls: a customer, a guest, a program of the shop, or nobody that the service knows. */
export type Caller =
  | { token: string; cartToken?: never; apiKey?: never }
  | { cartToken: string; token?: never; apiKey?: never }
  | { apiKey: string; token?: never; cartToken?: never }
  | { token?: never; cartToken?: never; apiKey?: never };

export type CheckoutClientOptions = Caller & {
  /** Where the service is, such as `https://checkout.example.com`. */
  baseUrl: string;
  /** In place of the fetch of the browser or of node. */
  fetch?: (request: Request) => Promise<Response>;
};

type WithKeyToChoose<Header> = Header extends { "Idempotency-Key": string }
  ? Omit<Header, "Idempotency-Key"> & { "Idempotency-Key"?: string }
  : Header;

type Called<Operation> = Operation extends { parameters: { header: infer Header } }
  ? Omit<Operation, "parameters"> & {
      parameters: Omit<Operation["parameters"], "header"> & { header?: WithKeyToChoose<Header> };
    }
  : Operation;

/** The paths of the document, but that an Idempotency-Key may be left out: the client makes one for each call. */
export type Paths = { [Path in keyof paths]: { [Method in keyof paths[Path]]: Called<paths[Path][Method]> } };

export type CheckoutClient = Client<Paths>;

/** What the service posts to a webhook endpoint; `type` says what `data` is. */
export type WebhookEvent = {
  [Type in keyof webhooks]: webhooks[Type]["post"]["requestBody"]["content"]["application/json"];
}[keyof webhooks];

type Schemas = components["schemas"];

/** Problem documents with members of their own, by the last part of their type. */
export type Problems = {
  [Name in keyof Schemas as Schemas[Name] extends { type: `/problems/${infer Slug}` } ? Slug : never]: Schemas[Name];
};

/** A client for one caller. Each request names the version of the API by which this client was made. */
export function createCheckoutClient(options: CheckoutClientOptions): CheckoutClient {
  checkCaller(options);
  // A redirect that were followed would take the caller's secret along, to any origin.
  const client = createClient<Paths>({ baseUrl: options.baseUrl, redirect: "manual", fetch: repeating(options.fetch) });
  client.use(headersOf(options));
  return client;
}

function checkCaller({ token, cartToken, apiKey }: Caller): void {
  const named = Object.entries({ token, cartToken, apiKey }).filter(([, value]) => value !== undefined);
  for (const [name, value] of named) {
    if (!value) throw new TypeError(`${name} is empty; leave it out to call as a stranger`);
  }
  if (named.length > 1) throw new TypeError("one caller: name one of token, cartToken and apiKey");
}

function headersOf(caller: Caller): Middleware {
  const bearer = caller.token ?? caller.apiKey;
  return {
    onRequest({ request, schemaPath }) {
      request.headers.set("API-Version", API_VERSION);
      if (bearer !== undefined) request.headers.set("Authorization", `Bearer ${bearer}`);
      if (caller.cartToken !== undefined) request.headers.set("Cart-Token", caller.cartToken);
      if (request.method !== "POST" || !KEYED.has(schemaPath)) {
        // Nobody would heed it, and what has one is sent again.
        request.headers.delete("Idempotency-Key");
      } else if (!request.headers.has("Idempotency-Key")) {
        request.headers.set("Idempotency-Key", crypto.randomUUID());
      }
    },
    onResponse({ request, response }) {
      const key = request.headers.get("Idempotency-Key");
      if (key !== null) keys.set(response, key);
    },
  };
}

/** With which key the call was sent that got this answer. */
const keys = new WeakMap<Response, string>();

/** Seconds before each repetition of a call that got no answer. */
const PAUSES = [0.5, 2];

/** A 503 whose Retry-After is longer, in seconds, is the caller's to repeat. */
const LONGEST_PAUSE = 5;

/** A fetch that sends again what has an Idempotency-Key and got no answer: it is done once, however often it is sent. */
function repeating(fetch: CheckoutClientOptions["fetch"] = globalThis.fetch): (request: Request) => Promise<Response> {
  return async (request) => {
    const key = request.headers.get("Idempotency-Key");
    if (key === null) return fetch(request);
    for (let sent = 0; ; sent++) {
      let pause = PAUSES[sent];
      try {
        const response = await fetch(request.clone());
        // All of it: an answer that breaks off is none.
        await response.clone().arrayBuffer();
        const named = response.status === 503 ? retryAfter(response) : undefined;
        if (pause === undefined || named === undefined || named < 0 || named > LONGEST_PAUSE) return response;
        pause = named;
      } catch (error) {
        if (pause === undefined || request.signal.aborted) throw new LostCallError(key, error);
      }
      await sleep(pause, request.signal).catch((reason: unknown) => {
        throw new LostCallError(key, reason);
      });
    }
  };
}

/**
 * A call that takes an Idempotency-Key got no answer, however often it was sent, or its signal ended it; it may be done
 * all the same. The same call with the same key is done once. `cause` is what fetch threw.
 */
export class LostCallError extends Error {
  override readonly name = "LostCallError";

  constructor(
    readonly idempotencyKey: string,
    cause: unknown,
  ) {
    super(`no answer; repeat the call with the Idempotency-Key ${idempotencyKey}`, { cause });
  }
}

/** No problem document came: a proxy answered, or a release that this client does not know. */
export class UnexpectedAnswerError extends Error {
  override readonly name: string = "UnexpectedAnswerError";

  constructor(
    readonly response: Response,
    message = `unexpected answer ${response.status} of ${response.url}`,
  ) {
    super(message);
  }

  get status(): number {
    return this.response.status;
  }

  /** What the call was sent with, where it takes one: the same call with the same key is done once. */
  get idempotencyKey(): string | undefined {
    return keys.get(this.response);
  }

  /** Seconds after which to ask again, where the service says so. */
  get retryAfter(): number | undefined {
    return retryAfter(this.response);
  }
}

/** The service refused, and `problem` says why. */
export class ProblemError<P extends Schemas["Problem"] = Schemas["Problem"]> extends UnexpectedAnswerError {
  override readonly name = "ProblemError";

  constructor(
    response: Response,
    readonly problem: P,
  ) {
    super(response, `${problem.status} ${problem.title}: ${problem.detail} (${problem.request_id})`);
  }

  /** The last part of the problem's type, which is stable: `out-of-stock`. */
  get slug(): string {
    return this.problem.type.slice(this.problem.type.lastIndexOf("/") + 1);
  }
}

/** Whether the error is this problem: `isProblem(error, "out-of-stock") && error.problem.lines`. */
export function isProblem<Slug extends keyof Problems>(
  error: unknown,
  slug: Slug,
): error is ProblemError<Problems[Slug] & Schemas["Problem"]>;
export function isProblem(error: unknown, slug: string): error is ProblemError;
export function isProblem(error: unknown, slug: string): boolean {
  return error instanceof ProblemError && error.slug === slug;
}

type Answer<Data> = { data?: Data; error?: unknown; response: Response };

/** The body of a success: `await unwrap(client.GET("/api/cart"))`. Throws ProblemError, else UnexpectedAnswerError. */
export async function unwrap<A extends Answer<unknown>>(answer: A | Promise<A>): Promise<Exclude<A["data"], undefined>>;
export async function unwrap(answer: Answer<unknown> | Promise<Answer<unknown>>): Promise<unknown> {
  const { data, error, response } = await answer;
  if (response.ok) return data;
  if (isProblemDocument(error, response)) throw new ProblemError(response, error);
  throw new UnexpectedAnswerError(response);
}

function isProblemDocument(error: unknown, response: Response): error is Schemas["Problem"] {
  const mediaType = response.headers.get("Content-Type")?.split(";", 1)[0]?.trim();
  return mediaType === "application/problem+json" && typeof error === "object" && error !== null && "type" in error;
}

type Page<Item> = { data: Item[]; next_cursor: string | null };

/**
 * What all pages of a list hold, one after the other. `read` gets `{}` or `{ cursor }`, which goes into the query:
 * `each((from) => client.GET("/api/payments", { params: { query: { limit: 100, ...from } } }))`.
 */
export async function* each<Item>(
  read: (from: { cursor?: string }) => Promise<Answer<Page<Item>>>,
): AsyncGenerator<Item, void, undefined> {
  let from: { cursor?: string } = {};
  for (;;) {
    const page: Page<Item> = await unwrap(read(from));
    yield* page.data;
    if (page.next_cursor === null) return;
    from = { cursor: page.next_cursor };
  }
}

export type WaitOptions = {
  /** What is waited for; else that nothing is expected of the customer or the provider. */
  until?: (payment: Schemas["ReadPayment"]) => boolean;
  /** Seconds after which it is given up; 600 unless you say otherwise. */
  within?: number;
  /** Ends the wait, with the signal's own reason. */
  signal?: AbortSignal;
};

/** Time was over before the payment was as it was waited for; `payment` is how it was last seen, if it was. */
export class PaymentUnchangedError extends Error {
  override readonly name = "PaymentUnchangedError";

  constructor(readonly payment: Schemas["ReadPayment"] | undefined) {
    super(payment ? `the payment is ${payment.status}` : "the payment could not be read");
  }
}

/** Seconds that the service may keep one request. */
const LONGEST_WAIT = 30;

/** Seconds before the next request where an answer came at once, and names no Retry-After. */
const PAUSE = 1;

/**
 * The payment as soon as `until` is true of it. The service answers when there is a change, so this asks seldom; a
 * busy one (429, 503) is asked again after its Retry-After. Throws PaymentUnchangedError, and every other problem.
 */
export async function waitForPayment(
  client: CheckoutClient,
  paymentId: string,
  { until = isDecided, within = 600, signal }: WaitOptions = {},
): Promise<Schemas["ReadPayment"]> {
  const deadline = Date.now() + within * 1000;
  let seen: { payment: Schemas["ReadPayment"]; etag: string | null } | undefined;
  for (;;) {
    const sentAt = Date.now();
    const wait = Math.max(0, Math.min(LONGEST_WAIT, Math.floor((deadline - sentAt) / 1000)));
    const answer = await client.GET("/api/payments/{payment_id}", {
      params: {
        path: { payment_id: paymentId },
        query: { wait },
        header: seen?.etag ? { "If-None-Match": seen.etag } : {},
      },
      ...(signal && { signal }),
    });
    const { response } = answer;
    let pause = retryAfter(response) ?? 0;
    if (response.status === 429 || response.status === 503) {
      pause ||= PAUSE;
    } else {
      // The first always comes at once. Another: as many requests wait as may, the time is nearly over, a proxy takes
      // ETags away, or the payment changes quickly.
      if (seen && Date.now() - sentAt < PAUSE * 1000) pause ||= PAUSE;
      if (response.status !== 304) {
        const payment = await unwrap(answer);
        if (until(payment)) return payment;
        seen = { payment, etag: response.headers.get("ETag") };
      }
    }
    const left = (deadline - Date.now()) / 1000;
    if (left <= 0) throw new PaymentUnchangedError(seen?.payment);
    await sleep(Math.min(pause, left), signal);
  }
}

/** Whether nothing is expected of the customer or the provider for now. */
export function isDecided(payment: Schemas["ReadPayment"]): boolean {
  return payment.status !== "pending" && payment.status !== "processing" && !payment.under_way;
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return Number.isFinite(seconds) ? seconds : undefined;
}

function sleep(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
