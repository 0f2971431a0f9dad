import { HoldfastError } from 'holdfast';
import type { Row, ServerHandler, TableRules } from 'holdfast/testing';

/** What the app's database demands: its not-null, unique and check constraints. */
export const tables: Record<string, TableRules> = {
  tasks: { required: ['title'], defaults: { status: 'open', acceptedBy: null } },
  messages: { required: ['text'] },
  ratings: { check: ({ stars }) => (Number(stars) >= 1 && Number(stars) <= 5 ? null : 'A rating has 1 to 5 stars.') },
  profiles: { required: ['name'], unique: ['name'] },
};

const refuse = (code: string, message: string): HoldfastError =>
  new HoldfastError({ code, category: 'CONFLICT', message });

const acceptTask: ServerHandler = ({ taskId }: { readonly taskId: string }, { row, write, caller }) => {
  const task = row('tasks', taskId);
  if (task?.['status'] !== 'open') throw refuse('TASK_TAKEN', 'Somebody else was faster.');
  const accepted = { ...task, status: 'accepted', acceptedBy: caller.sub };
  write('tasks', accepted);
  return accepted;
};

const purchase: ServerHandler = (
  { profileId, credits, price }: { readonly profileId: string; readonly credits: number; readonly price: number },
  { row, write },
) => {
  const profile = row('profiles', profileId);
  const balance = Number(profile?.['balance'] ?? 0);
  if (profile === undefined || balance < price) throw refuse('CARD_DECLINED', 'The card was declined.');
  const bought: Row = { ...profile, balance: balance - price, credits: Number(profile['credits'] ?? 0) + credits };
  write('profiles', bought);
  return bought;
};

/** Types that have code of their own on the server. */
export const handlers: Record<string, ServerHandler> = { 'task.accept': acceptTask, purchase };
