/**
 * ONNX Runtime itself, silenced: since 1.29 it keeps an identifier of the machine and a file
 * of events in the user's cache folder and uploads them, unless this variable is set before
 * the first session. Nothing else in the product may import it from its package.
 */
import * as ort from 'onnxruntime-node';

process.env.ORT_DISABLE_TELEMETRY = '1';

export { ort };
