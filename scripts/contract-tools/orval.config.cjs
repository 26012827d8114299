module.exports = {
  api: {
    input: './openapi.json',
    output: {
      target: './clients/orval.ts',
      client: 'fetch',
      mode: 'single',
      headers: true,
      baseUrl: process.env.SERVED_URL,
    },
  },
};
