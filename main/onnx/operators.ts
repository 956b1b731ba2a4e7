/**
 * The operators that a model may have: those that turn tensors of numbers into tensors of
 * numbers, the same ones every time, in time that follows from their sizes. Left out on
 * purpose: what repeats (Loop, Scan, SequenceMap), draws at random, works on text or
 * sequences or sound, decodes files (ImageDecoder, EPContext) or trains. Of ONNX Runtime's own
 * domains only what its optimizer and quantizer write, and the blocked layout that our
 * gradient graphs use. From the operator tables of ONNX 1.20 and ONNX Runtime 1.30.
 */
const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

const STANDARD = words(`
  Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Cast CastLike
  Ceil Celu Clip Compress Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace
  DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather
  GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
  GroupNormalization HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM
  LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max
  MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QLinearConv
  QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
  ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
  RotaryEmbedding Round ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign SimplifiedLayerNormalization Sin
  Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu
  Tile TopK Transpose Trilu Unsqueeze Where Xor`);

const RUNTIME = words(`
  Attention BiasGelu BiasSplitGelu DequantizeLinear DynamicQuantizeMatMul EmbedLayerNormalization FastGelu FusedConv
  FusedGemm FusedMatMul FusedMatMulActivation Gelu GroupNorm MatMulIntegerToFloat MatMulNBits MultiHeadAttention
  NhwcMaxPool QAttention QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat
  QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax QuantizeLinear
  QuickGelu RotaryEmbedding SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization`);

const BLOCKED = words('AveragePool Conv GlobalAveragePool GlobalMaxPool MaxPool ReorderInput ReorderOutput Upsample');

const BY_DOMAIN: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['', STANDARD],
  ['ai.onnx', STANDARD],
  ['com.microsoft', RUNTIME],
  ['com.microsoft.nchwc', BLOCKED],
]);

/** The operators of a domain; undefined for a domain of which none may be used. */
export function operatorsOf(domain: string): ReadonlySet<string> | undefined {
  return BY_DOMAIN.get(domain);
}
