/**
 * Unit and integration tests: everything under tests/ but the browser's. Files run in
 * processes of their own because ONNX Runtime and SQLite are native and share state in one.
 */
import { defineConfig } from 'vitest/config';
import { shareCompiledModules } from './tests/compile-cache.ts';

shareCompiledModules();

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    exclude: ['tests/e2e/**', 'node_modules/**'],
    // Tests that open ONNX Runtime by themselves report to nobody either.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    passWithNoTests: false,
    allowOnly: false,
  },
});
