import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import classes from './main-nav.module.css';

const SCREENS = [
  { path: '/', name: 'Accounts' },
  { path: '/contacts', name: 'Contacts' },
  { path: '/deals', name: 'Deals' },
  { path: '/changes', name: 'Changes' },
  { path: '/audit', name: 'Audit log' },
] as const;

/** The screens. */
export function MainNav(): ReactNode {
  const [location] = useLocation();
  const current = SCREENS.findLast(({ path }) => location.startsWith(path))?.path;
  return (
    <nav className={classes.nav} aria-label="Screens">
      {SCREENS.map(({ path, name }) => (
        <Link
          key={path}
          href={path}
          className={classes.link ?? ''}
          aria-current={path === current ? 'page' : undefined}
        >
          {name}
        </Link>
      ))}
    </nav>
  );
}
