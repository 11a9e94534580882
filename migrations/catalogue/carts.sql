-- In which currency a cart is priced. A line has its cart's, by the foreign key: so none of another comes in, and the cart's
-- cannot change, while a line is there, whoever writes at the same moment. Lines of the release before have none.

ALTER TABLE carts ADD IF NOT EXISTS currency char(3), ADD IF NOT EXISTS currency_chosen boolean DEFAULT false NOT NULL;
ALTER TABLE cart_items ADD IF NOT EXISTS currency char(3);

GRANT INSERT (currency, currency_chosen), UPDATE (currency, currency_chosen) ON carts TO checkout_web;
GRANT INSERT (currency), UPDATE (currency) ON cart_items TO checkout_web;
