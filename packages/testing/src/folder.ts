/** The folder of this file. In the form for `import` the build replaces this line. */
export const folder: string = __dirname;
