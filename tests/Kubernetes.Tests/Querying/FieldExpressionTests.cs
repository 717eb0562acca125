using System.Text;
using MultiCluster.Kubernetes.Querying;

namespace MultiCluster.Kubernetes.Tests.Querying;

public sealed class FieldExpressionTests
{
    private const string Pod = """
        {"apiVersion":"v1","kind":"Pod",
         "metadata":{"name":"web-0","namespace":"shop","labels":{"app":"web","app.kubernetes.io/name":"Web","version":"1.0"},
                     "annotations":{},"creationTimestamp":"2026-01-02T03:04:05Z","deletionTimestamp":null},
         "spec":{"replicas":3,"nodeName":"","priority":-1.5,"hostNetwork":false,
                 "containers":[{"name":"a","image":"nginx:1.27","resources":{"requests":{"cpu":"500m","memory":"1Gi"}},"ports":[{"containerPort":80},{"containerPort":443}]},
                               {"name":"b","image":"say \"hi\"","resources":{"requests":{"cpu":"2","memory":"128Mi"}}}]},
         "status":{"phase":"Running","conditions":[]}}
        """;

    private static readonly DateTimeOffset Now = new(2026, 1, 2, 4, 4, 5, TimeSpan.Zero);

    public static TheoryData<string, bool> Cases => new()
    {
        { "status.phase=Running", true },
        { "status.phase == Running", true },
        { ".status.phase=Running", true },
        { "status.phase=running", false },
        { "status.phase!=Running", false },
        { "status.phase in (Pending, Running)", true },
        { "status.phase notin (Pending, Failed)", true },
        { "status.phase notin (Running)", false },
        { "status.phase = Running, metadata.name = web-0", true },
        { "status.phase = Running, metadata.name = web-1", false },
        { "status.phase exists", true },
        { "status.phase !exists", false },
        { "!status.phase", false },
        { "!status.reason", true },
        { "status.reason exists", false },
        { "metadata.annotations exists", true },
        { "metadata.deletionTimestamp exists", false },
        { "!metadata.deletionTimestamp", true },
        { "status.conditions[*] exists", false },
        // Absent, null and empty text are the same to = and its kin.
        { "spec.nodeName=", true },
        { "spec.nodeName=''", true },
        { "spec.nodeName!=", false },
        { "status.reason=", true },
        { "metadata.deletionTimestamp=", true },
        { "status.phase=", false },
        { "status.reason!=Evicted", true },
        { "status.reason notin (Evicted)", true },
        { "status.reason notin (Evicted, '')", false },
        { "metadata.labels['app.kubernetes.io/name'] = Web", true },
        { "metadata['labels'].app = web", true },
        { "metadata.labels[\"app\"] = web", true },
        // Numbers and quantities by value, versions as text.
        { "spec.replicas=3", true },
        { "spec.replicas='3'", true },
        { "spec.replicas=3.0", true },
        { "spec.replicas='3.0'", false },
        { "spec.replicas > 2", true },
        { "spec.replicas > 3", false },
        { "spec.replicas >= 3", true },
        { "spec.replicas < 3", false },
        { "spec.replicas <= 3", true },
        { "spec.priority < 0", true },
        { "spec.hostNetwork = false", true },
        { "spec.hostNetwork != true", true },
        { "spec.hostNetwork > 0", false },
        { "metadata.labels.version = 1", false },
        { "metadata.labels.version = 1.0", true },
        { "spec.containers[0].resources.requests.cpu = 0.5", true },
        { "spec.containers[0].resources.requests.cpu = '0.5'", false },
        { "spec.containers[1].resources.requests.cpu = 2000m", true },
        { "spec.containers[*].resources.requests.cpu > 1", true },
        { "spec.containers[*].resources.requests.cpu > 2", false },
        { "spec.containers[*].resources.requests.memory >= 1024Mi", true },
        { "spec.containers[*].resources.requests.memory < 100M", false },
        { "spec.containers[*].image > 3", false },
        // Several values: one that meets it is enough; the negations are the exact opposites.
        { "spec.containers[*].image = 'nginx:1.27'", true },
        { "spec.containers[*].image = nginx:1.27", true },
        { "spec.containers[*].image != nginx:1.27", false },
        { "spec.containers[*].image = 'say \"hi\"'", true },
        { "spec.containers[*].name notin (c, d)", true },
        { "spec.containers[1].name = b, spec.containers[*].name = a", true },
        { "spec.containers[0].name = b", false },
        { "spec.containers[2] exists", false },
        { "spec.containers[*].ports[*].containerPort = 443", true },
        { "spec.containers[*].ports[1].containerPort = 80", false },
        { "spec.containers[1].ports exists", false },
        // Times.
        { "metadata.creationTimestamp < 2026-01-02T03:04:06Z", true },
        { "metadata.creationTimestamp >= 2026-01-02", true },
        { "metadata.creationTimestamp = 2026-01-02T04:04:05+01:00", true },
        { "metadata.creationTimestamp > now-1h", false },
        { "metadata.creationTimestamp >= now-1h", true },
        { "metadata.creationTimestamp > now-1d1s", true },
        { "metadata.creationTimestamp < now", true },
        { "status.phase < now", false },
        { "spec.replicas < now", false },
        { "spec = x", false },
        { "spec != x", true },
        { "spec.replicas.deeper exists", false },
        { "", true },
        { "  ", true },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Matches_Pod_AsDocumented(string text, bool expected)
    {
        Assert.True(FieldExpression.TryParse(text, out FieldExpression? expression, out FieldSyntaxError? error), error?.Message);
        Assert.Equal(expected, expression.Matches(Encoding.UTF8.GetBytes(Pod), Now));
    }

    [Theory]
    [InlineData("status.phase", 12, "lacks an operator after 'status.phase'")]
    [InlineData("status..phase=x", 7, "lacks a field name after 'status.'")]
    [InlineData("=x", 0, "lacks a field")]
    [InlineData("a=b,", 4, "lacks a field")]
    [InlineData("a=b c=d", 4, "where a comma or the end was expected")]
    [InlineData("a=b=c", 3, "where a comma or the end was expected")]
    [InlineData("a in b", 5, "write in (a, b)")]
    [InlineData("a in (b", 7, "lacks ',' or ')'")]
    [InlineData("a > abc", 4, "which has no order")]
    [InlineData("a > 'abc'", 4, "which has no order")]
    [InlineData("a >= 2026-13-01T00:00:00Z", 5, "which has no order")]
    [InlineData("a < now-5", 4, "which has no order")]
    [InlineData("a['b=c", 2, "has a quote that does not end")]
    [InlineData("a['b'=c", 1, "has a bracket")]
    [InlineData("a[x]=c", 1, "has a bracket")]
    [InlineData("a[-1]=c", 1, "has a bracket")]
    [InlineData("a[99999999999]=c", 1, "has a bracket")]
    [InlineData("[0].a=c", 0, "begins with an element")]
    [InlineData("a/b=c", 1, "lacks an operator")]
    [InlineData("metadata.labels.app.kubernetes.io/name=x", 33, "lacks an operator")]
    [InlineData("a='\\n'", 3, "backslash")]
    public void TryParse_WrongText_NamesPositionAndWhatIsRight(string text, int position, string part)
    {
        Assert.False(FieldExpression.TryParse(text, out _, out FieldSyntaxError? error));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Equal(position, error.Position);
    }

    [Fact]
    public void TryParse_TooMuch_IsRefused()
    {
        Assert.False(FieldExpression.TryParse(string.Join(',', Enumerable.Repeat("a=b", 65)), out _, out _));
        Assert.False(FieldExpression.TryParse(new string('a', 9000) + "=b", out _, out _));
        Assert.False(FieldExpression.TryParse(string.Join('.', Enumerable.Repeat("a", 40)) + "=b", out _, out _));
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("500m", 0.5)]
    [InlineData("1k", 1000)]
    [InlineData("1Ki", 1024)]
    [InlineData("1.5Gi", 1610612736)]
    [InlineData("-2", -2)]
    [InlineData("+3M", 3000000)]
    [InlineData("1e3", 1000)]
    [InlineData("1E3", 1000)]
    [InlineData("1E", 1e18)]
    [InlineData("2e-3", 0.002)]
    [InlineData(".5", 0.5)]
    [InlineData("5.", 5)]
    [InlineData("100n", 0.0000001)]
    public void Quantity_Text_IsReadByValue(string text, double expected)
    {
        Assert.True(Quantity.TryParse(text, out Quantity quantity));
        Assert.Equal((decimal)expected, quantity.Value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("m")]
    [InlineData("-")]
    [InlineData(".")]
    [InlineData("1K")]
    [InlineData("1ki")]
    [InlineData("1mi")]
    [InlineData("1Kib")]
    [InlineData("1 Gi")]
    [InlineData("1e")]
    [InlineData("1e1.5")]
    [InlineData("1e999")]
    [InlineData("0x10")]
    [InlineData("1,5")]
    [InlineData("nginx")]
    [InlineData("99999999999999999999999999999E")]
    public void Quantity_NoQuantity_IsRefused(string text) => Assert.False(Quantity.TryParse(text, out _));

    [Theory]
    [InlineData("*", "", true)]
    [InlineData("web", "web", true)]
    [InlineData("web", "web-0", false)]
    [InlineData("web*", "web-0", true)]
    [InlineData("*-0", "web-0", true)]
    [InlineData("w?b-*", "web-0", true)]
    [InlineData("?", "", false)]
    [InlineData("a*b*c", "aXbXbXc", true)]
    [InlineData("a*b*c", "aXbXbX", false)]
    [InlineData("**a", "bba", true)]
    [InlineData("a*", "b", false)]
    public void NameGlob_Matches_WholeName(string pattern, string name, bool expected)
    {
        Assert.True(NameGlob.TryParse(pattern, out NameGlob? glob, out _));
        Assert.Equal(expected, glob.Matches(name));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("[ab]")]
    [InlineData("{a,b}")]
    public void NameGlob_NoName_SaysWhatIsRight(string pattern)
    {
        Assert.False(NameGlob.TryParse(pattern, out _, out string? error));
        Assert.NotEmpty(error);
    }
}
