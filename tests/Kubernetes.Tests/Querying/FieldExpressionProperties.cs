using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Kubernetes.Json;
using MultiCluster.Kubernetes.Querying;

namespace MultiCluster.Kubernetes.Tests.Querying;

public sealed class FieldExpressionProperties
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly string[] Names = ["a", "b", "c.d", "é'\\"];
    private static readonly string[] Texts = ["", "x", "y z", "1", "1.0", "500m", "0.5", "1Gi", "1024Mi", "true", "2026-05-31T00:00:00Z", "it's", "q\"", "ü", "}]{[,:\"\\", "a text that is longer than the sixty-four bytes which are looked at in one step {"];
    private static readonly string[] Ordered = ["0", "1", "0.5", "500m", "1Gi", "-3", "2026-05-31T00:00:00Z", "2026-05-31", "now", "now-1d"];

    private static readonly JsonSerializerOptions[] Ways =
    [
        new() { WriteIndented = true },
        new() { WriteIndented = true, IndentCharacter = '\t', NewLine = "\r\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping },
        new() { Encoder = JavaScriptEncoder.Create(new TextEncoderSettings()) },
    ];

    private static readonly Gen<FieldPath> Paths =
        from first in Gen.Elements(Names)
        from rest in Gen.OneOf(
            Gen.Elements(Names).Select(FieldStep.Property),
            Gen.Choose(0, 2).Select(FieldStep.At),
            Gen.Constant(FieldStep.Every)).ListOf().Resize(4)
        select new FieldPath([FieldStep.Property(first), .. rest]);

    private static readonly Gen<FieldCondition> Conditions =
        from path in Paths
        from operation in Gen.Elements(Enum.GetValues<FieldOperator>())
        from quoted in Gen.Elements(true, false)
        from texts in Gen.Elements(Texts).NonEmptyListOf()
        from ordered in Gen.Elements(Ordered)
        select new FieldCondition(path, operation, operation switch
        {
            FieldOperator.Exists or FieldOperator.NotExists => [],
            FieldOperator.In or FieldOperator.NotIn => [.. texts.Select(t => new FieldLiteral(t, quoted))],
            FieldOperator.Equal or FieldOperator.NotEqual => [new FieldLiteral(texts[0], quoted)],
            _ => [new FieldLiteral(ordered, quoted)],
        });

    private static readonly Gen<FieldExpression> Expressions =
        Conditions.NonEmptyListOf().Resize(4).Select(c => new FieldExpression([.. c]));

    [Fact]
    public void Print_AnyExpression_ReadsBackTheSame() => Prop.ForAll(Expressions.ToArbitrary(), expression =>
    {
        Assert.True(FieldExpression.TryParse(expression.ToString(), out FieldExpression? again, out FieldSyntaxError? error), error?.Message + " in " + expression);
        Assert.Equal(expression, again);
        Assert.Equal(expression.ToString(), again.ToString());
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void Matches_AnyObject_AgreesWithTreeOfNodes() => Prop.ForAll(Expressions.ToArbitrary(), Objects(4).ToArbitrary(), (expression, node) =>
    {
        byte[] json = Encoding.UTF8.GetBytes(node.ToJsonString());
        bool expected = expression.Conditions.All(c => Reference(c, node));
        Assert.True(expected == expression.Matches(json, Now), $"{expression} over {node.ToJsonString()}: expected {expected}");
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void Matches_AnyWayToWriteTheObject_AnswersTheSame() => Prop.ForAll(Expressions.ToArbitrary(), Objects(4).ToArbitrary(), (expression, node) =>
    {
        bool expected = expression.Matches(Encoding.UTF8.GetBytes(node.ToJsonString()), Now);
        foreach (JsonSerializerOptions way in Ways)
        {
            byte[] json = Encoding.UTF8.GetBytes(" " + node.ToJsonString(way) + "\n");
            Assert.True(expected == expression.Matches(json, Now), $"{expression} over {node.ToJsonString(way)}: expected {expected}");
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void Matches_TwoMembersOfOneName_LooksAtBoth()
    {
        Assert.True(FieldExpression.TryParse("a = x, a = y", out FieldExpression? both, out _));
        Assert.True(both.Matches("""{"a":"y","b":{"a":"z"},"a":"x"}"""u8, Now));
        Assert.False(both.Matches("""{"a":"y","b":{"a":"x"},"a":"z"}"""u8, Now));
    }

    [Fact]
    public void Matches_DamagedObject_AnswersOrSaysThatItIsNoJson() => Prop.ForAll(
        Expressions.ToArbitrary(), Objects(4).ToArbitrary(), ArbMap.Default.GeneratorFor<int[]>().ToArbitrary(), (expression, node, damage) =>
        {
            byte[] json = Encoding.UTF8.GetBytes(node.ToJsonString());
            foreach (int number in damage)
            {
                json[(uint)number % json.Length] = (byte)"\"\\{}[]:,u\0 \u007f"[(int)((uint)number / 7 % 12)];
            }

            ReadOnlySpan<byte> part = json.AsSpan(0, json.Length - (damage.Length % json.Length));
            try
            {
                expression.Matches(part, Now);
            }
            catch (Exception e) when (JsonLimits.IsBadJson(e))
            {
                // The one other way to end.
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    [Fact]
    public void Matches_NestedBeyondAllBounds_IsRefused()
    {
        var path = new FieldPath([FieldStep.Property("a"), .. Enumerable.Repeat(FieldStep.Every, 4000)]);
        var expression = new FieldExpression([new FieldCondition(path, FieldOperator.Exists, [])]);
        string json = $$"""{"a":{{new string('[', 4000)}}1{{new string(']', 4000)}}}""";
        Assert.Throws<JsonException>(() => expression.Matches(Encoding.UTF8.GetBytes(json), Now));
    }

    [Fact]
    public void Matches_ValueKnownBeforehand_AgreesWithReadingTheObject() => Prop.ForAll(
        Conditions.ToArbitrary(), Gen.Elements([.. Texts, null]).ToArbitrary(), (condition, text) =>
        {
            var path = new FieldPath([FieldStep.Property("a")]);
            FieldCondition over = condition with { Path = path };
            var node = new JsonObject();
            if (text is not null)
            {
                node["a"] = text;
            }

            Assert.Equal(new FieldExpression([over]).Matches(Encoding.UTF8.GetBytes(node.ToJsonString()), Now), over.Matches(text, Now));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void TryParse_AnyText_NeverThrows() => Prop.ForAll(
        Gen.Elements("a.b['c'] [*]!=<>=(),in notin exists \\\"0".ToCharArray()).ListOf().Select(c => new string([.. c])).ToArbitrary(), text =>
        {
            bool read = FieldExpression.TryParse(text, out FieldExpression? expression, out FieldSyntaxError? error);
            Assert.Equal(read, expression is not null);
            Assert.Equal(read, error is null);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    private static Gen<JsonObject> Objects(int depth) =>
        from names in Gen.SubListOf(Names)
        from values in Values(depth).ListOf(Names.Length)
        select new JsonObject(names.Zip(values, (n, v) => KeyValuePair.Create(n, v?.DeepClone())));

    private static Gen<JsonNode?> Values(int depth)
    {
        Gen<JsonNode?> scalar = Gen.OneOf(
            Gen.Elements(Texts).Select(t => (JsonNode?)JsonValue.Create(t)),
            Gen.Elements(0, 1, -3, 1073741824).Select(n => (JsonNode?)JsonValue.Create(n)),
            Gen.Elements(0.5, 1.0, 1e3).Select(n => (JsonNode?)JsonValue.Create(n)),
            Gen.Elements(true, false).Select(b => (JsonNode?)JsonValue.Create(b)),
            Gen.Constant((JsonNode?)null));
        return depth == 0 ? scalar : Gen.OneOf(
            scalar,
            Objects(depth - 1).Select(o => (JsonNode?)o),
            Values(depth - 1).ListOf().Resize(3).Select(l => (JsonNode?)new JsonArray([.. l.Select(v => v?.DeepClone())])));
    }

    /// <summary>The documented meaning, written as directly as possible.</summary>
    private static bool Reference(FieldCondition condition, JsonNode root)
    {
        List<JsonNode> found = [];
        Collect(root, condition.Path.Steps.AsSpan(), found);
        switch (condition.Operator)
        {
            case FieldOperator.Exists:
                return found.Count > 0;
            case FieldOperator.NotExists:
                return found.Count == 0;
            case FieldOperator.Equal or FieldOperator.In:
                return EqualsAny(condition, found);
            case FieldOperator.NotEqual or FieldOperator.NotIn:
                return !EqualsAny(condition, found);
            default:
                return found.Any(v => Order(v, condition.Values[0].Text) is { } order && condition.Operator switch
                {
                    FieldOperator.Greater => order > 0,
                    FieldOperator.GreaterOrEqual => order >= 0,
                    FieldOperator.Less => order < 0,
                    _ => order <= 0,
                });
        }
    }

    private static bool EqualsAny(FieldCondition condition, List<JsonNode> found) => found.Count == 0
        ? condition.Values.Any(v => v.Text.Length == 0)
        : found.Any(n => condition.Values.Any(l => Same(n, l)));

    private static bool Same(JsonNode node, FieldLiteral literal)
    {
        if (node is not JsonValue)
        {
            return false;
        }

        bool isString = node.GetValueKind() == System.Text.Json.JsonValueKind.String;
        string text = isString ? node.GetValue<string>() : node.ToJsonString();
        if (text == literal.Text)
        {
            return true;
        }

        if (literal.IsQuoted)
        {
            return false;
        }

        if (Number(text) is { } number && Number(literal.Text) is { } other)
        {
            bool suffixed = text.Any(c => char.IsLetter(c) && c is not ('e' or 'E')) || literal.Text.Any(c => char.IsLetter(c) && c is not ('e' or 'E'));
            return number == other && (!isString || suffixed);
        }

        return isString && Time(text) is { } time && Time(literal.Text) == time;
    }

    private static int? Order(JsonNode node, string literal)
    {
        if (node is not JsonValue || node.GetValueKind() is System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False)
        {
            return null;
        }

        bool isString = node.GetValueKind() == System.Text.Json.JsonValueKind.String;
        string text = isString ? node.GetValue<string>() : node.ToJsonString();
        if (Number(literal) is { } number)
        {
            return Number(text)?.CompareTo(number);
        }

        return isString && Time(text) is { } time ? time.CompareTo(Time(literal)!.Value) : null;
    }

    private static decimal? Number(string text) => text switch
    {
        "500m" => 0.5m,
        "1Gi" or "1024Mi" => 1073741824m,
        _ => decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal number) ? number : null,
    };

    private static DateTimeOffset? Time(string text) => text switch
    {
        "2026-05-31T00:00:00Z" or "2026-05-31" => new DateTimeOffset(2026, 5, 31, 0, 0, 0, TimeSpan.Zero),
        "now" => Now,
        "now-1d" => Now.AddDays(-1),
        _ => null,
    };

    private static void Collect(JsonNode? node, ReadOnlySpan<FieldStep> steps, List<JsonNode> found)
    {
        if (node is null)
        {
            return;
        }

        if (steps.IsEmpty)
        {
            found.Add(node);
            return;
        }

        switch (steps[0].Kind)
        {
            case FieldStepKind.Property when node is JsonObject o:
                Collect(o[steps[0].Name], steps[1..], found);
                break;
            case FieldStepKind.Index when node is JsonArray a && steps[0].Index < a.Count:
                Collect(a[steps[0].Index], steps[1..], found);
                break;
            case FieldStepKind.Every when node is JsonArray a:
                foreach (JsonNode? element in a)
                {
                    Collect(element, steps[1..], found);
                }

                break;
        }
    }
}
