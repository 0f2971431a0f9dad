/** A sealed value is a nonce, what was sealed, and a tag. The nonce is drawn, not counted: a store that is restored would count the same again. */
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const KEY_BYTES = 32;
