/**
 * A journey with this client against a service that runs: buy as a guest and as a customer, watch, refund, read events,
 * verify webhooks. It prints what it did as JSON, and fails by an AssertionError.
 *
 * The environment names the service (CHECKOUT_URL), a customer's token (CUSTOMER_TOKEN) and an API key (API_KEY) with
 * the scopes refunds, payments:read, events:read and webhooks:write. The provider is the mock one.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";

import {
  type CheckoutClient,
  createCheckoutClient,
  each,
  type Event,
  isProblem,
  type Listing,
  PaymentUnchangedError,
  type Session,
  unwrap,
  waitForPayment,
  type WebhookEvent,
} from "./src/index.js";

/** Seconds for what takes a moment: a busy machine has its time. */
const PATIENCE = 60;

const baseUrl = fromEnvironment("CHECKOUT_URL");
const stranger = createCheckoutClient({ baseUrl });
const customer = createCheckoutClient({ baseUrl, token: fromEnvironment("CUSTOMER_TOKEN") });
const staff = createCheckoutClient({ baseUrl, apiKey: fromEnvironment("API_KEY") });

type Posted = { headers: IncomingHttpHeaders; body: string };
const posted: Posted[] = [];
const receiver = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  posted.push({ headers: request.headers, body: Buffer.concat(chunks).toString("utf8") });
  response.writeHead(204).end();
  receiver.emit("posted");
}).listen(0, "127.0.0.1");
await once(receiver, "listening");

try {
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/webhooks`;
  const endpoint = await unwrap(
    staff.POST("/api/admin/webhook-endpoints", { body: { url, types: ["payment.paid"], description: "a journey" } }),
  );
  const listing = await somethingOnSale();

  const cart = await unwrap(stranger.POST("/api/carts", { body: { currency: "USD" } }));
  const guest = createCheckoutClient({ baseUrl, cartToken: cart.cart_token });
  const guests = await buy(guest, listing);

  const customers = await buy(customer, listing);
  const paid = await unwrap(
    customer.GET("/api/payments/{payment_id}", { params: { path: { payment_id: customers.payment_id } } }),
  );
  assert(paid.order);
  const order = await unwrap(customer.GET("/api/orders/{order_id}", { params: { path: { order_id: paid.order.id } } }));
  assert.deepEqual(order.lines.map((line) => line.qty), [2]);
  assert(order.buyer);
  const listed = new Set<string>();
  const payments = each((from) => customer.GET("/api/payments", { params: { query: { limit: 1, ...from } } }));
  for await (const payment of payments) listed.add(payment.id);
  assert(listed.has(customers.payment_id));

  await refused(listing);
  const refundId = await refund(customers.payment_id);
  const events = await readEvents(customers.payment_id, refundId);
  await verify(endpoint.secret, new Set([guests.payment_id, customers.payment_id]));
  await unwrap(
    staff.DELETE("/api/admin/webhook-endpoints/{endpoint_id}", { params: { path: { endpoint_id: endpoint.id } } }),
  );
  console.log(
    JSON.stringify({
      guest: guests.payment_id,
      customer: customers.payment_id,
      refund: refundId,
      events: events.map((event) => event.type),
    }),
  );
} finally {
  receiver.close();
  receiver.closeAllConnections();
}

async function somethingOnSale(): Promise<Listing> {
  const listings = each((from) =>
    stranger.GET("/api/listings", { params: { query: { limit: 2, available: true, ...from } } }),
  );
  for await (const listing of listings) {
    if (listing.currency === "USD") return listing;
  }
  throw new Error("nothing is on sale");
}

/** Two pieces, paid on the provider's page. */
async function buy(caller: CheckoutClient, listing: Listing): Promise<Session> {
  await unwrap(caller.POST("/api/cart/items", { body: { listing: listing.id, qty: 2 } }));
  const cart = await unwrap(caller.GET("/api/cart"));
  assert(cart.id !== null);
  const request = {
    body: { cart_id: cart.id, buyer: { email: "zoe@shop.example", name: "Zoë Example", locale: "en-GB" } },
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  };
  const session = await unwrap(caller.POST("/api/checkout/session", request));
  const again = await caller.POST("/api/checkout/session", request);
  assert.equal(again.response.headers.get("Idempotent-Replayed"), "true");
  assert.equal(again.data?.payment_id, session.payment_id);

  await assert.rejects(
    waitForPayment(caller, session.payment_id, { within: 1 }),
    (error) => error instanceof PaymentUnchangedError && error.payment?.status === "pending",
  );

  assert(session.next_action.type === "redirect");
  // What the customer does there, in a browser.
  const page = await fetch(session.next_action.url, {
    method: "POST",
    body: new URLSearchParams({ action: "pay" }),
    redirect: "manual",
  });
  assert.equal(page.status, 303);
  const payment = await waitForPayment(caller, session.payment_id, { within: PATIENCE });
  assert.equal(payment.status, "paid");
  assert.equal(payment.amount, cart.total_amount);
  return session;
}

/** More than there is: the problem says how many there are. */
async function refused(listing: Listing): Promise<void> {
  await unwrap(customer.POST("/api/cart/items", { body: { listing: listing.id, qty: 9999 } }));
  const cart = await unwrap(customer.GET("/api/cart"));
  assert(cart.id !== null);
  // Without a key of its own the call gets one.
  await assert.rejects(
    unwrap(customer.POST("/api/checkout/session", { body: { cart_id: cart.id } })),
    (error) => isProblem(error, "out-of-stock") && error.problem.lines[0]?.listing === listing.id,
  );
  await unwrap(customer.DELETE("/api/cart"));
}

/** One dollar back, watched by who paid. */
async function refund(paymentId: string): Promise<string> {
  const params = { path: { payment_id: paymentId } };
  const requested = await unwrap(
    staff.POST("/api/payments/{payment_id}/refunds", { params, body: { amount: "1.00" } }),
  );
  const until = (payment: { amount_refunded: string }): boolean => payment.amount_refunded === "1.00";
  const payment = await waitForPayment(customer, paymentId, { until, within: PATIENCE });
  assert.equal(payment.status, "paid");
  const refunds = await unwrap(customer.GET("/api/payments/{payment_id}/refunds", { params }));
  assert.deepEqual(refunds.data.map(({ id, status }) => [id, status]), [[requested.id, "succeeded"]]);
  return requested.id;
}

/** Those of the payment and its refund, from the beginning of the log until the money is back. */
async function readEvents(paymentId: string, refundId: string): Promise<Event[]> {
  const found: Event[] = [];
  let from: { after?: number; wait?: number } = {};
  while (!found.some((event) => event.type === "refund.succeeded")) {
    const page = await unwrap(staff.GET("/api/admin/events", { params: { query: { limit: 1000, ...from } } }));
    found.push(...page.data.filter((event) => event.object.id === paymentId || event.object.id === refundId));
    from = { after: page.last_seq, wait: 5 };
  }
  return found;
}

/** What came is signed, says that these were paid, and a changed body is refused. */
async function verify(secret: string, expected: Set<string>): Promise<void> {
  const webhook = new Webhook(secret);
  while (expected.size > 0) {
    const next = posted.shift();
    if (next === undefined) {
      await once(receiver, "posted", { signal: AbortSignal.timeout(PATIENCE * 1000) });
      continue;
    }
    const headers = next.headers as Record<string, string>;
    const event = webhook.verify(next.body, headers) as WebhookEvent;
    new SvixWebhook(secret).verify(next.body, headers);
    assert.equal(event.id, headers["webhook-id"]);
    assert(event.type === "payment.paid");
    if ("status" in event.data) assert.equal(event.data.status, "paid");
    expected.delete(event.data.id);
    assert.throws(() => webhook.verify(next.body.replace("paid", "void"), headers));
  }
}

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}
