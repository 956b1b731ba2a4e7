/** Part `tuning-kills` of `npm run soak`: a fine-tuning run that is killed thirty times, as the test of `npm test` does eight times. */
import { runWhole } from './parts.ts';

runWhole('tests/engine/tuning-kill.test.ts');
