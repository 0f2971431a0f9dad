import { type Context, createContext } from 'react';
import type { AuditSource } from '../ports/audit-source.ts';

export const AuditContext: Context<AuditSource | null> = createContext<AuditSource | null>(null);
