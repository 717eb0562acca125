// Placeholder until Engine/Orleans lands on main: whoever brings it deletes this file.
namespace Orleans { public interface IGrainWithStringKey {} 
[AttributeUsage(AttributeTargets.All)] public sealed class AliasAttribute(string a):Attribute { public string A => a; }
[AttributeUsage(AttributeTargets.All)] public sealed class IdAttribute(uint a):Attribute { public uint A => a; }
[AttributeUsage(AttributeTargets.All)] public sealed class GenerateSerializerAttribute:Attribute; 
[AttributeUsage(AttributeTargets.All)] public sealed class ImmutableAttribute:Attribute; }
namespace Orleans.Concurrency { [AttributeUsage(AttributeTargets.All)] public sealed class AlwaysInterleaveAttribute:Attribute; }
namespace Orleans { public interface IGrainFactory { T GetGrain<T>(string key, string? grainClassNamePrefix = null) where T : IGrainWithStringKey; } }
