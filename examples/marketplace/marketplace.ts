import { defineMutation } from 'holdfast';
import * as v from 'valibot';

const id = v.pipe(v.string(), v.nonEmpty());

export const createTask = defineMutation({
  type: 'task.create',
  payload: v.object({ id, title: v.nullable(v.string()), budget: v.number() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'tasks', id }),
});

/** More than a change of one row: whether the task is still free only the server knows. */
export const acceptTask = defineMutation({
  type: 'task.accept',
  payload: v.object({ taskId: id }),
  operation: 'custom',
  lane: ({ taskId }) => `tasks:${taskId}`,
});

export const completeTask = defineMutation({
  type: 'task.complete',
  payload: v.object({ id, status: v.literal('completed') }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'tasks', id }),
});

export const sendMessage = defineMutation({
  type: 'message.send',
  payload: v.object({ id, conversationId: id, text: v.pipe(v.string(), v.maxLength(2_000)) }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'messages', id }),
  // Messages of one conversation arrive in the order they were written.
  lane: ({ conversationId }) => `conversations:${conversationId}`,
  priority: 'high',
});

export const rateUser = defineMutation({
  type: 'user.rate',
  payload: v.object({ id, userId: id, stars: v.number() }),
  operation: 'create',
  entity: ({ id }) => ({ table: 'ratings', id }),
  priority: 'low',
});

export const updateProfile = defineMutation({
  type: 'profile.update',
  payload: v.object({ id, name: v.string() }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'profiles', id }),
});

/** Twice would be theft, never would be a lie. */
export const purchase = defineMutation({
  type: 'purchase',
  payload: v.object({ profileId: id, credits: v.number(), price: v.number() }),
  operation: 'custom',
  lane: ({ profileId }) => `profiles:${profileId}`,
});

export const switchMode = defineMutation({
  type: 'mode.switch',
  payload: v.object({ id, mode: v.picklist(['customer', 'tasker']) }),
  operation: 'update',
  entity: ({ id }) => ({ table: 'profiles', id }),
});

export const mutations = [
  createTask,
  acceptTask,
  completeTask,
  sendMessage,
  rateUser,
  updateProfile,
  purchase,
  switchMode,
] as const;
