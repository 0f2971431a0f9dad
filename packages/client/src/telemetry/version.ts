/** Of this package, for bug reports. A test compares it with the manifest. */
export const PACKAGE_VERSION = '0.1.0';
