/** What a person may say about a contact. Null means that nobody has said. */
export interface ContactFields {
  readonly account_id: string;
  readonly name: string;
  readonly role: string | null;
  readonly email: string | null;
  readonly phone: string | null;
}

/** A person at an account. */
export interface Contact extends ContactFields {
  readonly id: string;
  /** Null for one the server has not seen yet. */
  readonly updated_at: string | null;
  readonly version: number | null;
}

/** The order of the values in a row of the list. */
export const CONTACT_COLUMNS = [
  'id',
  'account_id',
  'name',
  'role',
  'email',
  'phone',
  'updated_at',
  'version',
] as const satisfies readonly (keyof Contact)[];

export const CONTACT_WORDS: Readonly<Record<keyof ContactFields, string>> = {
  account_id: 'Account',
  name: 'Name',
  role: 'Role',
  email: 'E-mail',
  phone: 'Phone',
};
