/**
 * The words that simulated triage notes are made of, in English and Chinese: complaints
 * with the signs that make them an emergency, urgent or routine, and the sentences around
 * them. Written for this purpose; it teaches nothing about triage.
 */

/** The same thing in English and in Chinese. */
export type Phrase = readonly [english: string, chinese: string];

export interface Complaint {
  name: Phrase;
  emergency: Phrase[];
  urgent: Phrase[];
  routine: Phrase[];
}

export const COMPLAINTS: Complaint[] = [
  {
    name: ['chest pain', '胸痛'],
    emergency: [
      ['crushing pain radiating to the left arm', '压榨样疼痛向左臂放射'],
      ['cold sweats', '大汗淋漓'],
      ['near-collapse', '濒临晕厥'],
      ['new ST elevation', '新发ST段抬高'],
    ],
    urgent: [
      ['pain on exertion', '活动后疼痛'],
      ['known angina', '既往心绞痛'],
      ['palpitations on stairs', '上楼时心悸'],
      ['ankle swelling', '踝部水肿'],
    ],
    routine: [
      ['pain on pressing the ribs', '按压肋骨时疼痛'],
      ['heartburn after meals', '餐后烧心'],
      ['stiffness after gym training', '健身后僵硬'],
      ['pain only when turning', '仅转身时疼痛'],
    ],
  },
  {
    name: ['breathlessness', '气促'],
    emergency: [
      ['speaking in single words', '只能单字讲话'],
      ['blue lips', '口唇发绀'],
      ['stridor at rest', '静息时喉鸣'],
      ['sudden onset after a long flight', '长途飞行后突然起病'],
    ],
    urgent: [
      ['wheeze despite inhaler', '吸入药物后仍有喘息'],
      ['productive cough with fever', '咳痰伴发热'],
      ['waking at night short of breath', '夜间憋醒'],
      ['reduced exercise tolerance this week', '本周活动耐量下降'],
    ],
    routine: [
      ['a blocked nose', '鼻塞'],
      ['a dry tickly cough', '干痒咳嗽'],
      ['request for an inhaler refill', '要求续开吸入剂'],
      ['mild hay fever', '轻度花粉症'],
    ],
  },
  {
    name: ['headache', '头痛'],
    emergency: [
      ['thunderclap onset', '雷击样起病'],
      ['neck stiffness with drowsiness', '颈强直伴嗜睡'],
      ['slurred speech', '言语不清'],
      ['weakness of one arm', '一侧上肢无力'],
    ],
    urgent: [
      ['repeated vomiting', '反复呕吐'],
      ['blurred vision', '视物模糊'],
      ['pain worse when lying down', '平卧时加重'],
      ['tenderness over the temple', '颞部压痛'],
    ],
    routine: [
      ['the usual migraine pattern', '与以往偏头痛相同'],
      ['long hours at a screen', '长时间看屏幕'],
      ['poor sleep', '睡眠不佳'],
      ['a tight band feeling', '紧箍感'],
    ],
  },
  {
    name: ['abdominal pain', '腹痛'],
    emergency: [
      ['rigid abdomen', '板状腹'],
      ['vomiting of blood', '呕血'],
      ['black tarry stools with faintness', '黑便伴头晕欲倒'],
      ['pain with a positive pregnancy test', '妊娠试验阳性伴疼痛'],
    ],
    urgent: [
      ['pain settling in the right lower side', '疼痛转移至右下腹'],
      ['unable to keep fluids down', '进水即吐'],
      ['yellow eyes', '巩膜黄染'],
      ['blood in the urine', '血尿'],
    ],
    routine: [
      ['bloating', '腹胀'],
      ['constipation', '便秘'],
      ['cramps with the period', '经期痉挛痛'],
      ['discomfort after spicy food', '辛辣饮食后不适'],
    ],
  },
  {
    name: ['fever', '发热'],
    emergency: [
      ['a rash that does not fade on pressure', '压之不褪色的皮疹'],
      ['new confusion', '新发意识模糊'],
      ['mottled skin', '皮肤花斑'],
      ['chemotherapy last week', '上周化疗'],
    ],
    urgent: [
      ['shaking chills', '寒战'],
      ['flank pain', '腰胁痛'],
      ['spreading redness of the leg', '下肢红肿扩散'],
      ['not passing much urine', '尿量减少'],
    ],
    routine: [
      ['a runny nose', '流涕'],
      ['a sore throat, drinking well', '咽痛，饮水正常'],
      ['family members with the same cold', '家人同样感冒'],
      ['temperature settling with paracetamol', '服对乙酰氨基酚后退热'],
    ],
  },
  {
    name: ['a fall', '跌倒'],
    emergency: [
      ['loss of consciousness', '意识丧失'],
      ['anticoagulants and a growing scalp swelling', '服抗凝药且头皮肿块增大'],
      ['a deformed leg with a cold foot', '下肢畸形伴足部发凉'],
      ['unequal pupils', '瞳孔不等大'],
    ],
    urgent: [
      ['unable to bear weight', '无法负重'],
      ['a deep cut needing stitches', '需缝合的深切口'],
      ['wrist swelling with deformity', '腕部肿胀变形'],
      ['dizziness before the fall', '跌倒前头晕'],
    ],
    routine: [
      ['a small bruise', '小块瘀斑'],
      ['a grazed knee', '膝部擦伤'],
      ['walking normally', '行走正常'],
      ['request for a sick note', '要求开病假条'],
    ],
  },
  {
    name: ['a skin reaction', '皮肤反应'],
    emergency: [
      ['swelling of the tongue', '舌体肿胀'],
      ['hoarse voice and wheeze', '声嘶伴喘鸣'],
      ['faintness minutes after an injection', '注射后数分钟晕厥感'],
      ['blistering of the mouth and eyes', '口眼起疱'],
    ],
    urgent: [
      ['hives spreading over hours', '荨麻疹数小时内扩散'],
      ['swelling around one eye', '单侧眼周肿胀'],
      ['a new drug started three days ago', '三天前开始新药'],
      ['painful shingles near the eye', '眼旁带状疱疹疼痛'],
    ],
    routine: [
      ['dry itchy elbows', '肘部干痒'],
      ['an old eczema patch', '陈旧湿疹'],
      ['an insect bite, not spreading', '虫咬，未扩散'],
      ['request for a cream refill', '要求续开药膏'],
    ],
  },
  {
    name: ['dizziness', '头晕'],
    emergency: [
      ['facial droop', '口角歪斜'],
      ['pulse of 34', '脉率34次/分'],
      ['double vision and unsteady gait', '复视伴步态不稳'],
      ['tearing back pain', '背部撕裂样痛'],
    ],
    urgent: [
      ['fainting on standing', '起立时晕倒'],
      ['palpitations lasting an hour', '心悸持续一小时'],
      ['a recent change of blood pressure tablets', '近期更换降压药'],
      ['low sugar on the home meter', '家用血糖仪示低血糖'],
    ],
    routine: [
      ['spinning when turning in bed', '床上翻身时天旋地转'],
      ['skipped breakfast', '未吃早餐'],
      ['ear wax', '耵聍'],
      ['long-standing motion sickness', '长期晕车'],
    ],
  },
];

export const PHRASES = {
  female: ['woman', '女'] as Phrase,
  male: ['man', '男'] as Phrase,
  opening: [
    ['{sex} of {age} years with {complaint} {since}.', '{sex}，{age}岁，{complaint}{since}。'],
    ['{sex}, {age}, presents with {complaint} {since}.', '患者{sex}，{age}岁，因{complaint}{since}来诊。'],
    ['{complaint} {since} in a {sex} of {age}.', '{age}岁{sex}性，主诉{complaint}{since}。'],
  ] as Phrase[],
  since: {
    emergency: [
      ['for 20 minutes', '20分钟'],
      ['since an hour ago', '1小时'],
      ['of sudden onset', '突发'],
    ],
    urgent: [
      ['since yesterday', '1天'],
      ['for two days', '2天'],
      ['getting worse today', '今日加重'],
    ],
    routine: [
      ['for three weeks', '3周'],
      ['on and off for months', '反复数月'],
      ['for a week', '1周'],
    ],
  } satisfies Record<string, Phrase[]>,
  /** How the person looks: told in most notes, and not always fitting the signs. */
  appearance: {
    emergency: [
      ['looks grey and clammy.', '面色灰白，皮肤湿冷。'],
      ['brought in on a stretcher, looks grey.', '担架送入，面色灰白。'],
      ['anxious, barely able to answer.', '烦躁，难以应答。'],
    ],
    urgent: [
      ['looks unwell, needs a chair.', '精神差，需坐轮椅。'],
      ['in visible pain.', '痛苦面容。'],
      ['pale, looks unwell.', '面色苍白，精神差。'],
    ],
    routine: [
      ['looks well, walked in.', '一般情况好，步行入院。'],
      ['chatting, comfortable.', '谈笑自如。'],
      ['comfortable, looks well.', '无明显不适，一般情况好。'],
    ],
  } satisfies Record<string, Phrase[]>,
  present: [
    ['noted: {signs}.', '有{signs}。'],
    ['reports {signs}.', '诉{signs}。'],
    ['on arrival {signs}.', '到院时{signs}。'],
    ['also {signs}.', '伴{signs}。'],
  ] as Phrase[],
  absent: [
    ['no {signs}.', '无{signs}。'],
    ['denies {signs}.', '否认{signs}。'],
    ['without {signs}.', '未见{signs}。'],
  ] as Phrase[],
  doubted: [
    ['{signs} cannot be excluded.', '不能除外{signs}。'],
    ['possibly {signs}, history unclear.', '可能有{signs}，病史不清。'],
    ['relative mentions {signs} last year, resolved.', '家属称去年曾有{signs}，已好转。'],
    ['worried about {signs}.', '担心{signs}。'],
  ] as Phrase[],
  background: [
    ['takes blood pressure tablets.', '服用降压药。'],
    ['type 2 diabetes.', '2型糖尿病。'],
    ['lives alone.', '独居。'],
    ['non-smoker.', '不吸烟。'],
    ['allergic to penicillin.', '青霉素过敏。'],
    ['came with a relative.', '家属陪同。'],
    ['no regular medication.', '无长期用药。'],
  ] as Phrase[],
};
