/** The `iss` of the tokens that the benchmark makes for (d) and (e). */
export const ISSUER = 'https://bench.example';
