/**
 * ONNX files as values: build a graph, read a file, join several into one.
 * A model is only ever its own bytes; running it is `inference`'s.
 */
export { float, GraphBuilder, makeNode, makeValueInfo, OPSET, type Attribute } from './builder.ts';
export { readModel, withConstants, withMetadata, withOutputs, writeModel, type OnnxModel } from './model.ts';
export { scanModel } from './scan.ts';
export { quantize, type Quantized } from './quantize.ts';
export {
  dtypeCode,
  dtypeOf,
  makeTensor,
  tensorData,
  type Dim,
  type DType,
  type TensorData,
  type TensorInfo,
} from './tensor.ts';
