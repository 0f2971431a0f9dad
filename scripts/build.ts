// npm run build: what would be published, into packages/*/dist, and the page of the example. The client first: the
// declarations of the server name it.
import { buildPackage } from './build/build-package.ts';
import { buildPage } from './build/build-page.ts';

buildPackage('packages/client');
buildPackage('packages/server');
buildPage();
