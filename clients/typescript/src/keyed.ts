/** Paths where POST takes an Idempotency-Key. */
export const KEYED: ReadonlySet<string> = new Set([
  "/api/checkout/session",
  "/api/payments/{payment_id}/refunds",
  "/api/admin/payments/{payment_id}/captures",
  "/api/admin/payments/{payment_id}/void",
  "/api/admin/orders/{order_id}/fulfilments",
  "/api/admin/orders/{order_id}/cancel",
  "/api/admin/payments/{payment_id}/acceptances",
  "/api/admin/webhook-endpoints/{endpoint_id}/replay",
]);
