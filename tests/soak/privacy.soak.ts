/**
 * The whole loop with fine-tuning where loopback is the only network, under the recorder: the
 * test of `npm test` that leaves fine-tuning out, run whole. Prints what the test runner says.
 */
import { runWhole } from './parts.ts';

runWhole('tests/hosts/privacy.test.ts');
