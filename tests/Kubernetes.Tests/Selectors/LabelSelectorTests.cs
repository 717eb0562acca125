using MultiCluster.Kubernetes.Selectors;

namespace MultiCluster.Kubernetes.Tests.Selectors;

public sealed class LabelSelectorTests
{
    private static readonly Dictionary<string, string> Labels = new() { ["app"] = "web", ["tier"] = "front", ["empty"] = "", ["n"] = "5", ["a.b/c"] = "x" };

    [Theory]
    [InlineData("", true)]
    [InlineData("app=web", true)]
    [InlineData("app==web", true)]
    [InlineData(" app = web ", true)]
    [InlineData("app=api", false)]
    [InlineData("app!=web", false)]
    [InlineData("app!=api", true)]
    [InlineData("missing!=api", true)]
    [InlineData("app in (web,api)", true)]
    [InlineData("app in (api)", false)]
    [InlineData("app in(web)", true)]
    [InlineData("app notin (api, db)", true)]
    [InlineData("app notin (web)", false)]
    [InlineData("missing notin (web)", true)]
    [InlineData("missing in (web)", false)]
    [InlineData("app", true)]
    [InlineData("missing", false)]
    [InlineData("!missing", true)]
    [InlineData("! app", false)]
    [InlineData("empty=", true)]
    [InlineData("app=", false)]
    [InlineData("empty in (,x)", true)]
    [InlineData("n>4", true)]
    [InlineData("n<5", false)]
    [InlineData("app>4", false)]
    [InlineData("a.b/c=x,app in (web),!missing", true)]
    [InlineData("app=web,tier=back", false)]
    [InlineData("in", false)]
    [InlineData("notin=x", false)]
    public void Parse_ValidText_MatchesAsKubernetesDoes(string text, bool matches)
    {
        var selector = LabelSelector.Parse(text);
        Assert.Equal(matches, selector.Matches(Labels));
        Assert.Equal(matches, selector.Matches(Labels, static (labels, key) => labels.GetValueOrDefault(key)));
        Assert.Equal(matches, LabelSelector.Parse(selector.ToString()).Matches(Labels));
    }

    [Theory]
    [InlineData("app=web,", "ends with a comma")]
    [InlineData(",app", "label key was expected")]
    [InlineData("app web", "where one of = == != in notin")]
    [InlineData("app in web", "lacks '('")]
    [InlineData("app in (web", "lacks a ')'")]
    [InlineData("app in (we$b)", "must be empty or at most 63")]
    [InlineData("=web", "label key was expected")]
    [InlineData("-app=web", "must be 1 to 63")]
    [InlineData("a/b/c=web", "one slash only")]
    [InlineData("UPPER.io/x=1", "lower-case DNS name")]
    [InlineData("app=we b", "where a comma or the end was expected")]
    [InlineData("app=$", "must be empty or at most 63")]
    [InlineData("app>x", "must be an integer")]
    [InlineData("!app=web", "where a comma or the end was expected")]
    [InlineData("app===web", "where a comma or the end was expected")]
    public void Parse_WrongText_SaysWhatIsWrong(string text, string expected)
    {
        Assert.False(LabelSelector.TryParse(text, out _, out string? error));
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Contains(text, error, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_KeyOverTheLength_IsRefused()
    {
        Assert.True(LabelSelector.TryParse(new string('a', 63), out _, out _));
        Assert.False(LabelSelector.TryParse(new string('a', 64), out _, out _));
    }

    [Theory]
    [InlineData("status.phase=Running", "Running", true)]
    [InlineData("status.phase==Running", "Running", true)]
    [InlineData("status.phase!=Running", "Running", false)]
    [InlineData("status.phase!=Running", "", true)]
    [InlineData("status.phase=", "", true)]
    [InlineData("status.phase=a\\,b\\=c", "a,b=c", true)]
    [InlineData(",", "x", true)]
    public void FieldSelector_ValidText_Matches(string text, string phase, bool matches)
    {
        var selector = FieldSelector.Parse(text);
        Assert.Equal(matches, selector.Matches(field => field == "status.phase" ? phase : ""));
        Assert.Equal(matches, FieldSelector.Parse(selector.ToString()).Matches(_ => phase));
    }

    [Theory]
    [InlineData("status.phase")]
    [InlineData("=x")]
    [InlineData("!=x")]
    [InlineData("a=b=c")]
    [InlineData("a=b\\x")]
    public void FieldSelector_WrongText_IsRefused(string text)
    {
        Assert.False(FieldSelector.TryParse(text, out _, out string? error));
        Assert.Contains(text, error, StringComparison.Ordinal);
    }
}
