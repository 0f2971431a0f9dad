/** Something foreseeable that stops the bootstrap; its message is one sentence that says what to do. */
export class Refusal extends Error {}
